"""Builds the application of an HTTP process. Every HTTP process of Freshet is built here, so that all have the same edges.

A request passes, from outside in: CORS, the check of its address (UTF-8), the hot paths, then FastAPI's routes.
What no route answers, and a fault that nobody expected, are problem details too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.types import Scope

from schemas.clock_skew import CLOCK_SKEW
from schemas.http.described import LIVENESS, PLAIN_TEXT, READINESS
from schemas.http.fallback import fault_as_problem, http_exception_as_problem, invalid_as_problem
from schemas.http.hot_path import HotPathMiddleware
from schemas.http.utf8 import Utf8Middleware

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
Missing = Callable[[], Awaitable[list[str]]]
"""Returns a sentence for each thing that a process lacks to serve; none if it is ready."""

_ENCODE: Final = msgspec.json.Encoder().encode


class HotPath(NamedTuple):
    """A route that is served before FastAPI looks for one."""

    takes: Callable[[Scope], bool]
    endpoint: Callable[[Request], Awaitable[Response]]


def build_application(
    title: str,
    routers: Sequence[APIRouter],
    missing: Missing,
    *,
    hot_paths: Sequence[HotPath] = (),
    cors_origins: Sequence[str] = (),
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """Returns the application with these routers, health, metrics, and the edges that all processes share."""
    app = FastAPI(title=title, version="1", lifespan=lifespan)
    for router in (*routers, _operations(missing)):
        app.include_router(router)
    app.openapi = partial(_described, app)  # type: ignore[method-assign]  # as FastAPI documents it
    app.add_exception_handler(HTTPException, http_exception_as_problem)
    app.add_exception_handler(RequestValidationError, invalid_as_problem)
    app.add_exception_handler(Exception, fault_as_problem)
    for hot_path in hot_paths:
        app.add_middleware(HotPathMiddleware, takes=hot_path.takes, endpoint=hot_path.endpoint)
    app.add_middleware(Utf8Middleware)
    if cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=list(cors_origins), **_CORS)
    return app


_CORS: Final[dict[str, Any]] = {"allow_methods": ["*"], "allow_headers": ["*"], "expose_headers": ["Retry-After"]}


def _operations(missing: Missing) -> APIRouter:
    router = APIRouter(tags=["operations"])

    @router.get("/health/live", summary="The process answers", response_model=None, responses=LIVENESS)
    async def live() -> Response:
        return _json({"status": "live"})

    @router.get("/health/ready", summary="What is missing, if anything", response_model=None, responses=READINESS)
    async def ready() -> Response:
        lacking = await missing()
        return _json(
            {"status": "not ready" if lacking else "ready", "missing": lacking, "warnings": CLOCK_SKEW.warnings()},
            status=503 if lacking else 200,
        )

    @router.get("/metrics", summary="Prometheus text", response_class=Response, responses=PLAIN_TEXT)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document without FastAPI's own 422: what it refuses is a problem (400), as ``invalid_as_problem`` answers."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        for operation in (operation for path in document["paths"].values() for operation in path.values()):
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
        for name in ("HTTPValidationError", "ValidationError"):
            document.get("components", {}).get("schemas", {}).pop(name, None)
        app.openapi_schema = document
    return app.openapi_schema


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(_ENCODE(body), status, media_type="application/json")
