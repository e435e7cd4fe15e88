"""Errors of the HTTP APIs as RFC 9457 problem details."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"

_TITLES: Final = {
    400: "The request is not valid",
    401: "A key is missing or does not count",
    403: "This key may not do this",
    404: "There is nothing here",
    405: "This address does not take this method",
    413: "The request is too large",
    415: "This content type or encoding is not supported",
    421: "This process does not answer to this name",
    429: "Too many requests",
    503: "This cannot be done now",
}
_DETAIL: Final = 1_000
_SHOWN: Final = 160


class ProblemError(Exception):
    """A request that cannot be served: its status, a code for programs, a sentence for people, and the field at fault.

    The response gets ``headers``, and its body gets ``members``.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        index: int | None = None,
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.field, self.index, self.headers, self.members = field, index, headers, members

    def body(self) -> bytes:
        """The problem as JSON; members that are None are left out."""
        members = {"field": self.field, "index": self.index, **self.members}
        return msgspec.json.encode(
            {
                "type": problem_type(self.code),
                "title": _TITLES.get(self.status, "Error"),
                "status": self.status,
                "detail": printable(self.detail, _DETAIL),
                **{name: value for name, value in members.items() if value is not None},
            }
        )


def as_response(problem: ProblemError) -> Response:
    """The problem as an HTTP response."""
    return Response(problem.body(), problem.status, problem.headers, MEDIA_TYPE)


def problem_type(code: str) -> str:
    """The name of a kind of problem."""
    return f"urn:freshet:problem:{code}"


def printable(text: str, limit: int = _SHOWN) -> str:
    """Text from outside, shortened and made valid UTF-8: a lone surrogate is replaced."""
    shortened = text if len(text) <= limit else f"{text[:limit]}…"
    return shortened.encode("utf-8", "replace").decode()
