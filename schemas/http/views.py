"""Addresses that end with a view of an item or a user: ``/v1/items/{item_id}/similar``. They are read, and never written."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

from starlette.types import Scope

from schemas.http.problems import ProblemError

_USER_VIEWS: Final = (
    b"recommendations",
    b"because",
    b"compatibility",
    b"similar",
    b"notifications",
    b"export",
    b"signals",
)
METHODS: Final = {
    b"users": {**dict.fromkeys(_USER_VIEWS, "GET"), b"rank": "POST", b"scores": "POST"},
    b"items": {b"similar": "GET", b"together": "GET"},
}
"""By resource, the last part of such an address, and the method that reads it."""


def view_method(scope: Scope) -> str | None:
    """Returns the only method of an address that ends with a view; None for another address.

    In an id, a slash is percent-encoded: ``/v1/items/a%2Fsimilar`` is an item.
    """
    path: bytes = (scope.get("raw_path") or b"").partition(b"?")[0]
    resource, _, rest = path.removeprefix(b"/v1/").partition(b"/")
    id_, _, view = rest.rpartition(b"/")
    return METHODS.get(resource, {}).get(view) if id_ else None


def user_in_path(scope: Scope) -> str:
    """The id of the user in a path under ``/v1/users/``, as the routes read it: without the view that ends the path."""
    path: bytes = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
    rest = path.removeprefix(b"/v1/users/")
    id_, _, view = rest.rpartition(b"/")
    return unquote((id_ if id_ and view in METHODS[b"users"] else rest).decode("latin-1"))


def refuse_view(scope: Scope) -> None:
    """Refuses another method at a view's address: ``PUT /v1/items/7/similar`` would write an item ``7/similar``.

    Raises ProblemError (405).
    """
    if (method := view_method(scope)) is not None:
        detail = "This address is of a view. If it is an id, percent-encode its slash as %2F."
        raise ProblemError(405, "http", detail, headers={"Allow": method})
