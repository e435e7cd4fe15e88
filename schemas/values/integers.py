"""Finds integers that 64 bits do not hold. The values of signals and many readers of JSON cannot keep their digits."""

from __future__ import annotations

from typing import Any, Final

TOO_LONG: Final = "has an integer that needs more than 64 bits; send it as text"


def beyond_64_bits(value: Any) -> bool:
    """True if a JSON value is or contains an integer below -2^63 or above 2^64 - 1."""
    if value is None or isinstance(value, str):
        return False
    if isinstance(value, int):
        return not -0x8000000000000000 <= value <= 0xFFFFFFFFFFFFFFFF
    if isinstance(value, dict):
        return _any_beyond(value.values())
    return isinstance(value, list) and _any_beyond(value)


def _any_beyond(values: Any) -> bool:
    # A loop, because this is done for every event, and a generator costs as much as the rest.
    for value in values:  # noqa: SIM110
        if not isinstance(value, str) and beyond_64_bits(value):
            return True
    return False
