"""Errors of the read API as RFC 9457 problem details."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"

_TITLES: Final = {
    400: "The request is not valid",
    404: "There is nothing here",
    413: "The request is too large",
    503: "Not ready",
}


class ProblemError(Exception):
    """A request that cannot be answered: its status, a code for programs, a sentence for people, the field at fault."""

    def __init__(
        self, status: int, code: str, detail: str, *, field: str | None = None, index: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.field, self.index = status, code, field, index

    def response(self) -> Response:
        """The problem as an HTTP answer."""
        return problem(self.status, self.code, str(self), field=self.field, index=self.index)


def problem(status: int, code: str, detail: str, **members: Any) -> Response:
    """A problem details answer; members that are None are left out."""
    body = {
        "type": f"urn:freshet:problem:{code}",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": printable(detail),
        **{name: value for name, value in members.items() if value is not None},
    }
    return Response(msgspec.json.encode(body), status, media_type=MEDIA_TYPE)


def printable(text: str, limit: int = 500) -> str:
    """Text from outside, shortened and fit for JSON: a lone surrogate cannot be written as UTF-8."""
    return text[:limit].encode("utf-8", "replace").decode()
