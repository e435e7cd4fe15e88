"""What the interactions' SQL is asked with: weights of types, decay, whom to count, how much is enough."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from schemas.errors import ConfigurationInvalid
from schemas.events import MAX_AHEAD
from schemas.weights import Weight, WeightStep

DAY: Final = 86_400.0


DEFAULT_WEIGHTS: Final[Mapping[str, Weight]] = MappingProxyType(
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
        "rating": (WeightStep(3.0, 1.0), WeightStep(4.0, 3.0), WeightStep(5.0, 5.0)),
    }
)
"""Where looking at an item counts 1. A dwell's steps are seconds, a rating's are stars out of five; below the first
step, as for a type that is not here (dislike, dismiss, impression, search), an event says nothing for its item."""


class WeightRow(NamedTuple):
    """One row of the ``weights`` table: ``at_least <= value < below``; no value counts as 0."""

    type: str
    at_least: float
    below: float
    weight: float


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """How events become interactions; raises ConfigurationInvalid where a value cannot work."""

    now: float
    """Seconds since 1970 that decay is measured to; an old data set wants the time of its last event."""
    weights: Mapping[str, Weight] = field(default_factory=lambda: DEFAULT_WEIGHTS)
    """By type; a type without one, or with none above 0, is left out."""
    half_life_days: float | None = None
    """After which an event counts half; None: never less."""
    binary: bool = False
    """Every pair weighs 1, however often and long ago."""
    guests: bool = True
    """Count people who are known by no user_id: they say as much about items as others do."""
    user_minimum: int = 1
    """Fewest items a person must have."""
    item_minimum: int = 1
    """Fewest people an item must have."""

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
        """The rows of the ``weights`` table, ordered."""
        return [row for kind, weight in sorted(self.weights.items()) for row in _rows(kind, weight)]

    def arguments(self) -> dict[str, Any]:
        """The named parameters of the SQL files."""
        half_life = self.half_life_days
        return {
            "now": float(self.now),
            "decay_per_second": math.log(2) / (half_life * DAY) if half_life else 0.0,
            "binary": self.binary,
            "guests": self.guests,
            "user_minimum": self.user_minimum,
            "item_minimum": self.item_minimum,
            "ahead_us": int(MAX_AHEAD.total_seconds() * 1e6),
        }

    def as_dict(self) -> dict[str, Any]:
        """The parameters as JSON can hold them, for a manifest."""
        weights = {kind: w if isinstance(w, float | int) else [list(s) for s in w] for kind, w in self.weights.items()}
        return {
            "now": self.now,
            "weights": weights,
            "half_life_days": self.half_life_days,
            "binary": self.binary,
            "guests": self.guests,
            "user_minimum": self.user_minimum,
            "item_minimum": self.item_minimum,
        }


def _rows(kind: str, weight: Weight) -> list[WeightRow]:
    if not isinstance(weight, tuple):
        return [WeightRow(kind, -math.inf, math.inf, float(weight))]
    bounds = [*(step.at_least for step in weight[1:]), math.inf]
    return [WeightRow(kind, float(s.at_least), float(b), float(s.weight)) for s, b in zip(weight, bounds, strict=True)]
