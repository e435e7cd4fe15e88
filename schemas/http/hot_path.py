"""Serves the hottest route of an HTTP process without FastAPI, whose routing costs more than the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send


class HotPathMiddleware:
    """ASGI middleware that calls ``endpoint`` for requests for which ``takes`` is True; FastAPI would call the same."""

    def __init__(
        self, app: ASGIApp, takes: Callable[[Scope], bool], endpoint: Callable[[Request], Awaitable[Response]]
    ) -> None:
        self._app, self._takes, self._endpoint = app, takes, endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request of the route, or passes another request on."""
        if self._takes(scope):
            response = await self._endpoint(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)
