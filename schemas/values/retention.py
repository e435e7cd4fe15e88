"""Retention by event type: for how many days a site keeps raw events of a type."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

from schemas.errors import ConfigurationInvalid

ALWAYS_KEPT: Final = frozenset({"forget", "identify", "retract", "unlike"})
"""Types that cannot expire: without them, what they have retracted or linked would change again at a rebuild."""
_TYPE: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_LONGEST: Final = 36_500.0


def parse_retention(text: str) -> Mapping[str, float]:
    """Reads ``search=30,view=400``: days by event type. Raises ConfigurationInvalid for another form."""
    days: dict[str, float] = {}
    for assignment in filter(None, (part.strip() for part in text.split(","))):
        kind, _, number = (side.strip() for side in assignment.partition("="))
        if kind in ALWAYS_KEPT:
            names = ", ".join(sorted(ALWAYS_KEPT))
            raise ConfigurationInvalid(f"events of the type {kind} cannot expire ({names}): leave it out")
        if not _TYPE.fullmatch(kind) or kind in days or not _is_days(number):
            raise ConfigurationInvalid(
                f"'{assignment}' is no retention: write each type once, with days above 0, as search=30,view=400"
            )
        days[kind] = float(number)
    return days


def _is_days(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and 0 < float(text) <= _LONGEST
    except ValueError:
        return False
