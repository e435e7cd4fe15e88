"""The hottest route, answered before FastAPI looks for it: there and back would cost more than an answer made before."""

from __future__ import annotations

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api import recommendations_endpoint
from serving.service import ServingService


class ShortCut:
    """ASGI middleware: ``GET /v1/users/{user_id}/recommendations`` by the very endpoint that FastAPI would call."""

    def __init__(self, app: ASGIApp, service: ServingService) -> None:
        self._app, self._endpoint = app, recommendations_endpoint(service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on what is not for this route."""
        if _is_hot(scope):
            response = await self._endpoint(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_hot(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "GET" or not scope.get("raw_path"):
        return False
    path: str = scope["path"]
    return path.startswith("/v1/users/") and path.endswith("/recommendations")
