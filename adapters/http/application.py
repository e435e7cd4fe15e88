"""Builds the application of an HTTP process. Every HTTP process of Freshet is built here, so that all have the same edges.

A request passes, from outside in: the check of access with CORS, the audit log, the check of its address (UTF-8), pseudonyms where a
site has them, the hot paths, then FastAPI's routes.
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
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.types import Scope as AsgiScope

from adapters.http.description import openapi_document
from adapters.http.docs_page import build_docs_router
from schemas.access.scopes import ADMIN_ONLY, METRICS, PUBLIC, Scope, declared_rule, needs
from schemas.clock_skew import CLOCK_SKEW
from schemas.errors import FreshetError
from schemas.http.access.audit import AuditMiddleware
from schemas.http.access.callers import principal_of
from schemas.http.access.guard import Access
from schemas.http.access.middleware import AccessMiddleware
from schemas.http.access.rules import HotRule, RouteRules
from schemas.http.described import LIVENESS, PLAIN_TEXT, READINESS
from schemas.http.fallback import (
    error_as_problem,
    fault_as_problem,
    http_exception_as_problem,
    invalid_as_problem,
    problem_as_response,
)
from schemas.http.hot_path import HotPathMiddleware
from schemas.http.problems import ProblemError
from schemas.http.pseudonymous import PseudonymMiddleware
from schemas.http.utf8 import Utf8Middleware
from schemas.values.pseudonyms import Pseudonyms

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
Missing = Callable[[], Awaitable[list[str]]]
"""Returns a sentence for each thing that a process lacks to serve; none if it is ready."""

_ENCODE: Final = msgspec.json.Encoder().encode
_OWN_DOCS: Final[dict[str, Any]] = {"docs_url": None, "redoc_url": None}
"""FastAPI's pages load their scripts from another host; ``docs_page`` has ours."""
_FOR_ANONYMOUS: Final = f"a key with the scope {Scope.METRICS_READ} is told what is missing"


class HotPath(NamedTuple):
    """A route that is served before FastAPI looks for one."""

    takes: Callable[[AsgiScope], bool]
    endpoint: Callable[[Request], Awaitable[Response]]


def build_application(
    title: str,
    routers: Sequence[APIRouter],
    missing: Missing,
    *,
    access: Access | None = None,
    hot_paths: Sequence[HotPath] = (),
    docs: bool = False,
    lifespan: Lifespan | None = None,
    pseudonyms: Pseudonyms | None = None,
) -> FastAPI:
    """Returns the application with these routers, health, metrics, and the edges that all processes share.

    Without ``access`` nobody is asked who calls: for tests of other things. Without ``pseudonyms`` ids stay as they are.
    """
    # A redirect would name the host that the request names, and nobody checks that one where keys count.
    app = FastAPI(
        title=title,
        version="1",
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url="/openapi.json" if docs else None,
        **_OWN_DOCS,
    )
    description = list(app.routes)
    for route in description:
        # Whoever switches the description on shows it to everybody.
        needs(PUBLIC)(route.endpoint)  # type: ignore[attr-defined]
    routers = [*routers, _operations(missing, access), *([build_docs_router(title)] if docs else [])]
    for router in routers:
        app.include_router(router)
    hot_rules = [HotRule(path.takes, declared_rule(path.endpoint) or ADMIN_ONLY) for path in reversed(hot_paths)]
    # Newer versions of FastAPI keep a router as one route, so the routes are taken from the routers themselves.
    routes = [*description, *(route for router in routers for route in router.routes)]
    app.state.rules = RouteRules(routes, hot_rules, app.routes)
    app.state.documents = {}  # by whether the site is open
    app.openapi = partial(_described, app, access)  # type: ignore[method-assign]  # as FastAPI documents it
    app.add_exception_handler(HTTPException, http_exception_as_problem)
    app.add_exception_handler(RequestValidationError, invalid_as_problem)
    app.add_exception_handler(ProblemError, problem_as_response)
    app.add_exception_handler(FreshetError, error_as_problem)
    app.add_exception_handler(Exception, fault_as_problem)
    for hot_path in hot_paths:
        app.add_middleware(HotPathMiddleware, takes=hot_path.takes, endpoint=hot_path.endpoint)
    if pseudonyms is not None:
        app.add_middleware(PseudonymMiddleware, pseudonyms=pseudonyms)
    app.add_middleware(Utf8Middleware)
    if access is not None and access.audit is not None:
        app.add_middleware(AuditMiddleware, audit=access.audit, rules=app.state.rules, clock=access.guard.clock)
    if access is not None:
        app.add_middleware(AccessMiddleware, guard=access.guard, rules=app.state.rules)
    return app


def _operations(missing: Missing, access: Access | None) -> APIRouter:
    router = APIRouter(tags=["operations"])

    @router.get(
        "/health/live",
        operation_id="get_liveness",
        summary="The process answers",
        response_model=None,
        responses=LIVENESS,
    )
    @needs(PUBLIC)
    async def live() -> Response:
        return _json({"status": "live"})

    @router.get(
        "/health/ready",
        operation_id="get_readiness",
        summary="What is missing, if anything",
        response_model=None,
        responses=READINESS,
    )
    @needs(PUBLIC)
    async def ready(request: Request) -> Response:
        lacking = [*await missing(), *(access.missing() if access else ())]
        warnings = [*CLOCK_SKEW.warnings(), *(access.warnings() if access else ())]
        if not principal_of(request.scope).has(Scope.METRICS_READ):
            # A caller without a key learns that something is missing, and not what the site runs on.
            lacking, warnings = [_FOR_ANONYMOUS] if lacking else [], []
        return _json(
            {"status": "not ready" if lacking else "ready", "missing": lacking, "warnings": warnings},
            status=503 if lacking else 200,
        )

    @router.get(
        "/metrics", operation_id="get_metrics", summary="Prometheus text", response_class=Response, responses=PLAIN_TEXT
    )
    @needs(METRICS)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


def _described(app: FastAPI, access: Access | None) -> dict[str, Any]:
    """The OpenAPI document, made once for the open site and once for the site with keys."""
    is_open = access is None or access.guard.is_open
    documents: dict[bool, dict[str, Any]] = app.state.documents
    if is_open not in documents:
        documents[is_open] = openapi_document(app, app.state.rules.routes, is_open=is_open)
    return documents[is_open]


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(_ENCODE(body), status, media_type="application/json")
