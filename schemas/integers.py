"""Finds integers that 64 bits do not hold. The values of signals and many readers of JSON cannot keep their digits."""

from __future__ import annotations

import re
from typing import Any, Final

TOO_LONG: Final = "has an integer that needs more than 64 bits; send it as text"
LONG_NUMBER: Final = re.compile(rb"[0-9]{19}")
"""Matches each JSON text that can hold such an integer."""


def beyond_64_bits(value: Any) -> bool:
    """True if a JSON value is or contains an integer below -2^63 or above 2^64 - 1."""
    if isinstance(value, int):
        return not -(2**63) <= value < 2**64
    if isinstance(value, dict | list | tuple):
        return any(beyond_64_bits(member) for member in (value.values() if isinstance(value, dict) else value))
    return False
