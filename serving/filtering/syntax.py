"""The parts of a parsed filter: fields, parameters, tests and groups."""

from __future__ import annotations

from typing import Final, NamedTuple

from schemas.answers import RecommendationRequest
from serving.filtering.fields import Path
from serving.filtering.values import Value, dig, read_loosely, values_of

_REQUEST_FIELDS: Final = ("user_id", "anonymous_id", "session_id", "item_id")


class Field(NamedTuple):
    """A field of items, and the column of the filter's text that names it."""

    path: Path
    column: int


class Parameter(NamedTuple):
    """A value from the request: ``$now``, ``$user.…``, ``$context.…``, and ``$name`` for ``$context.name``."""

    path: Path

    @property
    def attribute(self) -> str | None:
        """The user's attribute that this parameter reads, if any."""
        below = self.path[2:] if self.path[:2] == ("user", "attributes") else self.path[1:]
        return below[0] if self.path[0] == "user" and below else None

    def values(self, request: RecommendationRequest) -> tuple[Value, ...]:
        """The values that the request has for this parameter; empty if it has none."""
        if self.path == ("now",):
            return (Value(moment=request.now),)
        if self.path[0] == "user":
            return values_of(dig(request.attributes, self.path[2 if self.path[1:2] == ("attributes",) else 1 :]))
        if self.path[0] in _REQUEST_FIELDS and len(self.path) == 1:
            return values_of(getattr(request, self.path[0]))
        value = request.context.get(".".join(self.path[1:] if self.path[0] == "context" else self.path))
        return () if value is None else (read_loosely(value),)


Constant = tuple["Value | Parameter", ...]
"""Values that do not depend on the item; parameters are resolved from the request."""


class Test(NamedTuple):
    """A comparison of one field (or constant) with a constant, by the name of a test, such as ``<`` or ``contains``."""

    subject: Field | Constant
    name: str
    wanted: Constant = ()
    depth: int = 0


class Group(NamedTuple):
    """``and``, ``or`` or ``not`` of tests and groups."""

    name: str
    parts: tuple[Test | Group, ...]
    depth: int


def resolved(constant: Constant, request: RecommendationRequest) -> tuple[Value, ...]:
    """The values of a constant for a request."""
    return tuple(
        value
        for member in constant
        for value in (member.values(request) if isinstance(member, Parameter) else (member,))
    )
