"""What an event is worth when a signal is read. Nothing here is stored, so that a weight can change at any time."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from signals.users import Entry

DEFAULT_WEIGHTS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "view": 1.0,
        "click": 1.0,
        "dwell": 1.0,
        "comment": 2.0,
        "bookmark": 3.0,
        "cart": 3.0,
        "share": 3.0,
        "like": 4.0,
        "rating": 1.0,
        "purchase": 5.0,
        "unlike": 0.0,
        "dismiss": -2.0,
        "dislike": -4.0,
    }
)
"""Interest shown by one event of a type; below zero is aversion. A type that is not here is worth nothing.

A ``rating`` is worth this much a star above (or below) RATING_MIDDLE, a ``dwell`` this much a minute.
"""

RATING_MIDDLE: Final = 2.5
"""Stars at which a rating says neither yes nor no, on a scale up to 5."""
RATING_LIMIT: Final = 4.0
"""A rating is never worth more than this, whatever the site's scale is."""
DWELL_SECONDS: Final = 60.0
DWELL_LIMIT: Final = 3.0
SCROLL_WORTH: Final = 1.0
"""What a dwell's ``scroll`` of 1, the whole page, adds, in minutes."""

VALUED: Final = frozenset({"rating", "dwell"})
"""Types whose worth depends on an event's value."""

VERDICTS: Final = frozenset({"like", "unlike", "dislike", "dismiss", "rating"})
"""Types by which a person says yes or no; the newest verdict on an item holds against older events."""

POPULATION_WEIGHTS: Final[Mapping[str, float]] = MappingProxyType(
    {**DEFAULT_WEIGHTS, "rating": 2.0, "dismiss": -0.5, "dislike": -1.0}
)
"""Weights where many people's counts are read: there a rating has no value, and aversion is a mild vote."""


def worth(entry: Entry, weights: Mapping[str, float] = DEFAULT_WEIGHTS) -> float:
    """What one interaction says of its item, before any decay."""
    weight = weights.get(entry.type, 0.0)
    if entry.type == "rating" and entry.value is not None:
        stars = entry.value - RATING_MIDDLE
        return weight * max(-RATING_LIMIT, min(RATING_LIMIT, stars))
    if entry.type == "dwell" and entry.value is not None:
        read = SCROLL_WORTH * entry.scroll if entry.scroll is not None else 0.0
        return weight * max(0.0, min(DWELL_LIMIT, entry.value / DWELL_SECONDS + read))
    return weight
