"""Answers what no route answers: an unknown address, a method that an address does not take, or an unexpected fault."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from schemas.errors import (
    AnswerUnknown,
    DeadLetterRefused,
    FreshetError,
    JobUnknown,
    LeaseTaken,
    LetterUnknown,
    LogUnavailable,
    NothingToTrain,
    PointerMoved,
    StoreUnavailable,
    VersionUnknown,
)
from schemas.http.problems import ProblemError, as_response
from schemas.http.views import view_method

INTERNAL: Final = "Something went wrong here; the log of the process says what. Try again."
_STATUSES: Final[tuple[tuple[tuple[type[FreshetError], ...], int, str], ...]] = (
    ((LogUnavailable, StoreUnavailable), 503, "unavailable"),
    ((AnswerUnknown, JobUnknown, LetterUnknown, VersionUnknown), 404, "unknown"),
    ((LeaseTaken, PointerMoved), 409, "busy"),
    ((DeadLetterRefused, NothingToTrain), 422, "refused"),
)
"""The status and code of errors that a route lets through; 400 for all others."""
_METHODS: Final = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


async def http_exception_as_problem(request: Request, error: Exception) -> Response:
    """The error as problem details; a 405 names the methods that the address takes (RFC 9110)."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = view_method(request.scope) or ", ".join(_methods(request))
    return as_response(ProblemError(error.status_code, "http", str(error.detail), headers=headers))


async def invalid_as_problem(_: Request, error: Exception) -> Response:
    """FastAPI's own refusal of a parameter as problem details: 400, with the field at fault."""
    first: dict[str, Any] = error.errors()[0]  # type: ignore[attr-defined]  # FastAPI's; this package does not import it
    field = ".".join(str(step) for step in first["loc"][1:])
    return as_response(ProblemError(400, "invalid", f"{field}: {first['msg']}", field=field or None))


async def problem_as_response(_: Request, error: Exception) -> Response:
    """A problem that a route raises, as its response."""
    assert isinstance(error, ProblemError)
    return as_response(error)


async def error_as_problem(_: Request, error: Exception) -> Response:
    """A named error that a route lets through, as problem details. Its text says what to do."""
    kinds = ((status, code) for errors, status, code in _STATUSES if isinstance(error, errors))
    status, code = next(kinds, (400, "invalid"))
    headers = {"Retry-After": "1"} if status in {409, 503} else None
    return as_response(ProblemError(status, code, str(error), headers=headers))


def json_response(value: Any, status: int = 200) -> Response:
    """A value as a JSON response that no cache keeps."""
    return Response(msgspec.json.encode(value), status, {"Cache-Control": "no-store"}, "application/json")


async def fault_as_problem(_request: Request, _error: Exception) -> Response:
    """An exception that nobody expected as problem details: 500. Starlette then raises it again, and it is logged."""
    return as_response(ProblemError(500, "internal", INTERNAL))


def _methods(request: Request) -> list[str]:
    """The methods that some route takes at this path; several routers may share a path."""
    routes: list[BaseRoute] = request.app.routes
    scopes = {method: {**request.scope, "method": method} for method in _METHODS}
    return [name for name, scope in scopes.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)]
