"""Event weights: how much interest an event of each type shows.

They are applied when a signal is read. No weight is stored, so weights can change at any time. Not to be confused with the
weights of candidate sources (``models/source_weights.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from schemas.values.rating_scale import DEFAULT_SCALE, RatingScale
from signals.users import Entry

INTEREST_WEIGHTS: Final[Mapping[str, float]] = MappingProxyType(
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
"""Interest that one event of a type shows, when a user's signal is read. Training has weights of its own
(``offline.interactions.parameters.TRAINING_WEIGHTS``). A weight below zero is negative feedback. Other types have the weight 0.

The weight of ``rating`` is for each star above or below the middle of the scale, on a scale of five stars. The weight of
``dwell`` is for each minute.
"""

RATING_LIMIT: Final = 4.0
"""Limit of the stars above or below the middle, for ratings of former versions that are on no scale."""
DWELL_SECONDS: Final = 60.0
"""Seconds of a dwell that count as one."""
DWELL_LIMIT: Final = 3.0
"""Limit of a dwell's minutes, including the minutes that SCROLL_MINUTES adds."""
SCROLL_MINUTES: Final = 1.0
"""Minutes that are added to a dwell whose ``scroll`` is 1 (the whole page)."""

VALUE_WEIGHTED_TYPES: Final = frozenset({"rating", "dwell"})
"""Types whose weight depends on the event's value: stars, or seconds."""

EXPLICIT_FEEDBACK_TYPES: Final = frozenset({"like", "unlike", "dislike", "dismiss", "rating"})
"""Types by which a user accepts or rejects an item. The newest explicit feedback on an item outweighs older events."""

POPULATION_WEIGHTS: Final[Mapping[str, float]] = MappingProxyType(
    {**INTEREST_WEIGHTS, "rating": 2.0, "dismiss": -0.5, "dislike": -1.0}
)
"""Weights for the counts of many users. Such counts have no stars, and negative feedback weighs less."""


def interaction_weight(
    entry: Entry, weights: Mapping[str, float] = INTEREST_WEIGHTS, scale: RatingScale = DEFAULT_SCALE
) -> float:
    """Returns how much interest one interaction shows in its item, before any decay."""
    weight = weights.get(entry.type, 0.0)
    if entry.type == "rating" and entry.value is not None:
        return weight * max(-RATING_LIMIT, min(RATING_LIMIT, scale.stars(entry.value)))
    if entry.type == "dwell" and entry.value is not None:
        scrolled = SCROLL_MINUTES * entry.scroll if entry.scroll is not None else 0.0
        return weight * max(0.0, min(DWELL_LIMIT, entry.value / DWELL_SECONDS + scrolled))
    return weight
