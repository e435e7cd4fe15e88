"""The hottest route of an HTTP process, answered before FastAPI looks for it: there and back costs more than the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send


class HotPathMiddleware:
    """ASGI middleware: what ``takes`` says yes to is answered by the very endpoint that FastAPI would call."""

    def __init__(
        self, app: ASGIApp, takes: Callable[[Scope], bool], endpoint: Callable[[Request], Awaitable[Response]]
    ) -> None:
        self._app, self._takes, self._endpoint = app, takes, endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on what is not for this route."""
        if self._takes(scope):
            response = await self._endpoint(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)
