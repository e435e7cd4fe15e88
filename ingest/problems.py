"""Errors of the write API as RFC 9457 problem details."""

from __future__ import annotations

from typing import Any, Final

import orjson
from fastapi import Response

from ingest.jsontext import printable

MEDIA_TYPE: Final = "application/problem+json"

_TITLES: Final = {
    400: "The request is not valid",
    404: "There is nothing here",
    405: "This address does not take this method",
    413: "The request is too large",
    415: "This content type or encoding is not supported",
    429: "Too many requests",
    503: "The log cannot take this now",
}


class ProblemError(Exception):
    """A request that cannot be served, with all that its answer says."""

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

    def response(self) -> Response:
        """The problem as an HTTP answer."""
        return problem(
            self.status, self.code, str(self), self.headers, field=self.field, index=self.index, **self.members
        )


def problem(status: int, code: str, detail: str, headers: dict[str, str] | None = None, **members: Any) -> Response:
    """A problem details answer; members that are None are left out."""
    body = {
        "type": problem_type(code),
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": printable(detail, 1_000),
        **{name: value for name, value in members.items() if value is not None},
    }
    return Response(orjson.dumps(body), status, headers, MEDIA_TYPE)


def problem_type(code: str) -> str:
    """The name of a kind of problem."""
    return f"urn:freshet:problem:{code}"
