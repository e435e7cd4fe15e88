"""Bounds of one JSON object, checked before anything else walks it.

The check itself counts and keeps no paths: a path is put together only for a fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MAX_VALUES: Final = 10_000
"""Most members of one event, item or user, at all depths together."""
MAX_DEPTH: Final = 8
"""Deepest nesting inside ``properties`` and ``attributes``."""
_MAX_INT: Final = 2**63
_CONTAINERS: Final = frozenset({dict, list})


class NestedFault(Exception):
    """A value that cannot be written to the log: a code, what is wrong, and the names that lead to it, innermost first."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail
        self.names: list[str] = []

    def path_from(self, root: str) -> str:
        """The dotted path of the fault below ``root``."""
        return ".".join((root, *reversed(self.names)))


def overfull_field(fields: Mapping[str, Any], limit: int = MAX_VALUES) -> str | None:
    """The field with which an object has more than ``limit`` members at all depths; None if it has not."""
    count = len(fields)
    for name, value in fields.items():
        if count > limit:
            return name
        count += members(value, limit - count)
        if count > limit:
            return name
    return None


def members(value: Any, limit: int) -> int:
    """Number of members of nested objects and lists; stops at the first number above ``limit``."""
    count = 0
    waiting: list[Any] = [value] if value.__class__ in _CONTAINERS else []
    while waiting:
        container = waiting.pop()
        count += len(container)
        if count > limit:
            break
        inner = container.values() if container.__class__ is dict else container
        waiting.extend([member for member in inner if member.__class__ in _CONTAINERS])
    return count


def check_nested(value: Any, depth: int = 0) -> None:
    """Checks that a value can be written to the log; raises NestedFault.

    Refused are numbers that are not finite or need more than 64 bits, text that is not Unicode, and nesting past MAX_DEPTH.
    """
    if isinstance(value, dict | list):
        if depth >= MAX_DEPTH:
            raise NestedFault("too-deep", f"is nested deeper than {MAX_DEPTH} levels")
        _check_members(value, depth)
    elif isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - only NaN differs from itself
            raise NestedFault("finite-number", "must be a finite number")
    elif isinstance(value, int):
        if not -_MAX_INT <= value < _MAX_INT:
            raise NestedFault("integer-size", "needs more than 64 bits; send it as text")
    else:
        _check_text(value)


def _check_members(value: dict[str, Any] | list[Any], depth: int) -> None:
    for name, member in value.items() if isinstance(value, dict) else enumerate(value):
        _check_text(name)
        try:
            check_nested(member, depth + 1)
        except NestedFault as fault:
            fault.names.append(str(name))
            raise


def _check_text(value: Any) -> None:
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise NestedFault("string-unicode", "is not valid Unicode: it holds half of a surrogate pair") from error
