"""The worth of events, applied when a signal is read. Nothing here is stored, so a weight can change at any time."""

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
"""Interest that one event of a type shows. Below zero it is aversion. A type without a weight is worth nothing.

The weight of ``rating`` is for each star above or below RATING_MIDDLE, the weight of ``dwell`` for each minute.
"""

RATING_MIDDLE: Final = 2.5
"""Stars of a neutral rating, on a scale up to 5."""
RATING_LIMIT: Final = 4.0
"""Limit of the stars above or below RATING_MIDDLE, for any scale."""
DWELL_SECONDS: Final = 60.0
DWELL_LIMIT: Final = 3.0
"""Limit of a dwell's minutes, with those that SCROLL_WORTH adds."""
SCROLL_WORTH: Final = 1.0
"""Minutes that a dwell's ``scroll`` of 1, the whole page, adds."""

VALUED: Final = frozenset({"rating", "dwell"})
"""Types whose worth depends on an event's value."""

VERDICTS: Final = frozenset({"like", "unlike", "dislike", "dismiss", "rating"})
"""Types by which a user accepts or rejects an item. The newest verdict on an item outweighs older events."""

POPULATION_WEIGHTS: Final[Mapping[str, float]] = MappingProxyType(
    {**DEFAULT_WEIGHTS, "rating": 2.0, "dismiss": -0.5, "dislike": -1.0}
)
"""Weights for the counts of many users. There a rating has no stars, and aversion counts less."""


def worth(entry: Entry, weights: Mapping[str, float] = DEFAULT_WEIGHTS) -> float:
    """Returns the interest that one interaction shows in its item, before any decay."""
    weight = weights.get(entry.type, 0.0)
    if entry.type == "rating" and entry.value is not None:
        stars = entry.value - RATING_MIDDLE
        return weight * max(-RATING_LIMIT, min(RATING_LIMIT, stars))
    if entry.type == "dwell" and entry.value is not None:
        scrolled = SCROLL_WORTH * entry.scroll if entry.scroll is not None else 0.0
        return weight * max(0.0, min(DWELL_LIMIT, entry.value / DWELL_SECONDS + scrolled))
    return weight
