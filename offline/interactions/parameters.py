"""Parameters of the SQL that computes interactions: weights of event types, decay, and minimum counts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from schemas.errors import ConfigurationInvalid
from schemas.events import MAX_AHEAD, MAX_CLOCK_ERROR
from schemas.values.rating_scale import DEFAULT_SCALE, RatingScale
from schemas.values.weights import Weight, WeightStep

DAY: Final = 86_400.0


_RATING_STEPS: Final = (WeightStep(3.0, 1.0), WeightStep(4.0, 3.0), WeightStep(5.0, 5.0))
TRAINING_WEIGHTS: Final[Mapping[str, Weight]] = MappingProxyType(
    {
        "click": 1.0,
        "view": 1.0,
        "dwell": (WeightStep(10.0, 0.5), WeightStep(60.0, 1.0), WeightStep(300.0, 2.0)),
        "comment": 2.0,
        "bookmark": 3.0,
        "cart": 3.0,
        "share": 3.0,
        "like": 4.0,
        "purchase": 5.0,
        "rating": _RATING_STEPS,
    }
)
"""Weights of event types in training; a view counts 1.

The steps of a dwell are seconds, those of a rating are stars out of five. Below the first step an event has no weight. Nor
have types that are not here: dislike, dismiss, impression, search.
"""


def training_weights(scale: RatingScale) -> Mapping[str, Weight]:
    """Returns TRAINING_WEIGHTS with the steps of ``rating`` at the same shares of this scale's highest rating."""
    steps = tuple(WeightStep(step.at_least * scale.high / DEFAULT_SCALE.high, step.weight) for step in _RATING_STEPS)
    return TRAINING_WEIGHTS if scale.high <= 0 else {**TRAINING_WEIGHTS, "rating": steps}


class WeightRow(NamedTuple):
    """One row of the ``weights`` table, for values with ``at_least <= value < below``. A missing value counts as 0."""

    type: str
    at_least: float
    below: float
    weight: float
    since_ms: float = 0.0
    """Older events are left out, by the time (milliseconds since 1970) at which the log received them."""


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Parameters of the interactions. Raises ConfigurationInvalid for an invalid value."""

    now: float
    """Time (seconds since 1970) at which decayed weights are read. For an old data set, use the time of its last event."""
    weights: Mapping[str, Weight] = field(default_factory=lambda: TRAINING_WEIGHTS)
    """Weights by event type. Types without a weight above 0 are left out."""
    half_life_days: float | None = None
    """Half-life of an event's weight in days. None: weights do not decay."""
    binary: bool = False
    """True: every pair of user and item has the weight 1."""
    guests: bool = True
    """True: events of anonymous users count too. Items are learned from them equally well."""
    user_minimum: int = 1
    """Minimum number of items of a user."""
    item_minimum: int = 1
    """Minimum number of users of an item."""
    kept_days: Mapping[str, float] = field(default_factory=dict)
    """Days for which events are kept, by type. A type that is not here is kept for ever."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.now):
            raise ConfigurationInvalid("now must be a time in seconds since 1970")
        if self.half_life_days is not None and not 0 < self.half_life_days < math.inf:
            raise ConfigurationInvalid(
                f"a half-life of {self.half_life_days} days cannot be; leave it out for no decay"
            )
        for row in self.weight_rows():
            if not (math.isfinite(row.weight) and row.at_least < row.below):
                raise ConfigurationInvalid(
                    f"the weight of '{row.type}' must be a number, or steps with rising values and a number each"
                )

    def weight_rows(self) -> list[WeightRow]:
        """Returns the rows of the ``weights`` table, sorted by type and value."""
        return [
            row._replace(since_ms=self._since_ms(kind))
            for kind, weight in sorted(self.weights.items())
            for row in _rows(kind, weight)
        ]

    def _since_ms(self, kind: str) -> float:
        days = self.kept_days.get(kind)
        return 0.0 if days is None else (self.now - days * DAY) * 1_000.0

    def arguments(self) -> dict[str, Any]:
        """Returns the named parameters of the SQL files."""
        half_life = self.half_life_days
        return {
            "now": float(self.now),
            "decay_per_second": math.log(2) / (half_life * DAY) if half_life else 0.0,
            "binary": self.binary,
            "guests": self.guests,
            "user_minimum": self.user_minimum,
            "item_minimum": self.item_minimum,
            "ahead_us": int(MAX_AHEAD.total_seconds() * 1e6),
            "clock_error_us": int(MAX_CLOCK_ERROR.total_seconds() * 1e6),
        }

    def as_dict(self) -> dict[str, Any]:
        """Returns the parameters as JSON types, for a manifest."""
        weights = {kind: w if isinstance(w, float | int) else [list(s) for s in w] for kind, w in self.weights.items()}
        return {
            "now": self.now,
            "weights": weights,
            "half_life_days": self.half_life_days,
            "binary": self.binary,
            "guests": self.guests,
            "user_minimum": self.user_minimum,
            "item_minimum": self.item_minimum,
            **({"kept_days": dict(self.kept_days)} if self.kept_days else {}),
        }


def _rows(kind: str, weight: Weight) -> list[WeightRow]:
    if not isinstance(weight, tuple):
        return [WeightRow(kind, -math.inf, math.inf, float(weight))]
    bounds = [*(step.at_least for step in weight[1:]), math.inf]
    return [WeightRow(kind, float(s.at_least), float(b), float(s.weight)) for s, b in zip(weight, bounds, strict=True)]
