"""The values of a field, and their readings: a text, a number and a moment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import numpy as np

Text = str | bool
"""A value that is compared for equality: a case-folded text, or true or false."""

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?")


class Value(NamedTuple):
    """One value with its readings; None for a reading that it does not have. A moment is in seconds since 1970."""

    text: Text | None = None
    number: float | None = None
    moment: float | None = None
    exact: str | None = None
    """The text with its case, for ids."""


def values_of(raw: Any) -> tuple[Value, ...]:
    """The values of a JSON value: none of null and objects, several of a list."""
    if isinstance(raw, list | tuple):
        return tuple(value for member in raw if (value := value_of(member)) is not None)
    value = value_of(raw)
    return () if value is None else (value,)


def read_loosely(text: str) -> Value:
    """A parameter of a request, which is always text, with all the readings that it may have."""
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    folded = text.casefold()
    truth = {"true": True, "false": False}.get(folded, folded)
    return Value(truth, number if np.isfinite(number) else None, moment_of(text), text)


def moment_of(text: str) -> float | None:
    """A date or time (RFC 3339; UTC without a zone) in seconds since 1970; None for other text."""
    if not _DATE.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def dig(value: Any, path: Sequence[str]) -> Any:
    """The value at a path in nested objects; None if there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def value_of(raw: Any) -> Value | None:
    """One value that is no list; None of null and objects."""
    if isinstance(raw, bool):
        return Value(raw)
    if isinstance(raw, int | float):
        return Value(number=float(raw))
    if isinstance(raw, datetime):
        return Value(moment=raw.timestamp())
    return Value(raw.casefold(), None, moment_of(raw), raw) if isinstance(raw, str) else None
