"""A problem as the online API answers it."""

from __future__ import annotations

from starlette.responses import Response

from schemas.problems import MEDIA_TYPE, ProblemError

__all__ = ["ProblemError", "as_response"]


def as_response(problem: ProblemError) -> Response:
    """The problem as an HTTP answer."""
    return Response(problem.body(), problem.status, problem.headers, MEDIA_TYPE)
