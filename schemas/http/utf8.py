"""Refuses addresses that are not UTF-8: servers would put U+FFFD in their place, and two ids would become one.

A line break in a path is refused here too: routers match no route with it, and would answer that there is nothing. So is a
fixed part of a path that is percent-encoded (``/v1/%75sers/ann``): routers decode it, but ids are read from what was sent.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from schemas.http.problems import ProblemError, as_response

_SHOWN: Final = 80
_ID_FIELDS: Final = {b"items": "item_id", b"users": "user_id"}
_PREFIXES: Final = ("/v1/items/", "/v1/users/")
"""Beginnings of paths that end in an id, which may hold slashes."""
_ID_PLACE: Final = 3
"""The number of slashes before the id."""


class Utf8Middleware:
    """ASGI middleware: answers 400 to a path or a query that is not UTF-8 once it is percent-decoded."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands the request on, or answers what is wrong with its address."""
        problem = address_problem(scope) if scope["type"] == "http" else None
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await as_response(problem)(scope, receive, send)


def address_problem(scope: Scope) -> ProblemError | None:
    """Returns what is wrong with the text of an address; None if it is UTF-8, without a line break in its path."""
    path: bytes = scope.get("raw_path") or b""
    if not _is_utf8(path):
        return _problem("path", path, None)
    if b"%0A" in path.upper():
        detail = "The path has a line break (%0A); no id has control characters."
        return ProblemError(400, "control-character", detail, field=_id_field(path))
    if b"%" in path and (prefix := _encoded_prefix(scope["path"], path)) is not None:
        detail = f"Write {prefix} as it is: only ids are percent-encoded."
        return ProblemError(400, "encoded-path", detail)
    query: bytes = scope["query_string"]
    if _is_utf8(query):
        return None
    pair = next((pair for pair in query.split(b"&") if not _is_utf8(pair)), query)
    name = pair.partition(b"=")[0]
    return _problem("query", pair, name.decode() if name.isascii() and _is_utf8(name) else None)


def _encoded_prefix(path: str, raw_path: bytes) -> str | None:
    """The fixed beginning of a path if it was sent percent-encoded; else None."""
    prefix = next((prefix for prefix in _PREFIXES if path.startswith(prefix)), None)
    return None if prefix is None or raw_path.startswith(prefix.encode()) else prefix


def _id_field(path: bytes) -> str | None:
    """The field that the id in a path such as ``/v1/items/lamp`` fills; None where the path has no such id."""
    parts = path.split(b"/")
    return _ID_FIELDS.get(parts[2]) if len(parts) > _ID_PLACE else None


def _is_utf8(text: bytes) -> bool:
    if b"%" not in text and text.isascii():
        return True
    try:
        unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return False
    return True


def _problem(part: str, text: bytes, field: str | None) -> ProblemError:
    shown = text.decode("ascii", "backslashreplace")[:_SHOWN]
    detail = f"The {part} is not UTF-8: '{shown}'. Encode text as UTF-8 before you percent-encode it: é is %C3%A9."
    return ProblemError(400, "not-utf8", detail, field=field)
