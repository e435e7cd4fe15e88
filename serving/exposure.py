"""How willingly an item is clicked where it is shown: clicks over expected clicks, for any items at once.

A place's examination is what its click-through is of the first place's, over all items; an impression at a place that
is looked at half as often counts half (Zhang, Jones, QLWA at WWW 2007). Few impressions are drawn to the average.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats, Ints
from signals.decay import value_at
from signals.exposure import BEGINS, HALF_LIFE, SHOWN, by_bucket

PRIOR: Final = 20.0
"""Expected impressions at which an item's own clicks count as much as the average."""
ANSWERS: Final[Mapping[str, float]] = {"click": 1.0}
"""Types that answer an impression, and how much each counts."""
_IMPRESSIONS: Final[Mapping[str, float]] = {SHOWN: 1.0}

Doubles = NDArray[np.float64]


class Exposure:
    """Impressions and answers by position in the catalogue and bucket of places, all as of one time."""

    def __init__(self, answers: Mapping[str, float] = ANSWERS) -> None:
        self._weights = answers
        self._at: float | None = None
        self._shown: Doubles = np.zeros((0, len(BEGINS)))
        self._answered: Doubles = np.zeros((0, len(BEGINS)))
        self._totals: tuple[Doubles, Doubles] | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing was ever shown or answered."""
        return self._at is None

    def put(self, at: int, counts: Mapping[str, float]) -> None:
        """Take over an item's merged counts (``signals.exposure.merge_exposure``)."""
        if self._at is None:
            # All counts fade alike, so that any one time serves to add and to divide them.
            self._at = max(counts.values(), default=0.0) * HALF_LIFE
        if at >= len(self._shown):
            room = np.zeros((at + 1_024 - len(self._shown), len(BEGINS)))
            self._shown = np.concatenate([self._shown, room])
            self._answered = np.concatenate([self._answered, room])
        self._shown[at] = by_bucket(counts, _IMPRESSIONS, self._at)
        self._answered[at] = by_bucket(counts, self._weights, self._at)
        self._totals = None

    def examination(self, now: float) -> Doubles:
        """How often each bucket of places is looked at, as a share of the first (B,), 0 to 1; 1 where nothing is known."""
        worth = self._worth(now)
        shown, answered = (worth * each for each in self._summed())
        overall = (answered.sum() + 1.0) / (shown.sum() + PRIOR)
        rates = (answered + PRIOR * overall) / (shown + PRIOR)
        shares: Doubles = np.minimum(rates / rates[0], 1.0)
        return shares

    def rates(self, items: Ints, now: float) -> Floats:
        """Each item's click-through as if it always stood first (n,), drawn to the average of all."""
        average, expected, answered = self._looked_at(items, now)
        return _drawn(average, expected, answered)

    def relative(self, items: Ints, now: float) -> Floats:
        """``rates`` as multiples of the average (n,); 1 where an item was hardly looked at: less than PRIOR times."""
        average, expected, answered = self._looked_at(items, now)
        relative: Floats = np.where(expected < PRIOR, np.float32(1), _drawn(average, expected, answered) / average)
        return relative.astype(np.float32, copy=False)

    def _looked_at(self, items: Ints, now: float) -> tuple[float, Doubles, Doubles]:
        """The click-through of all items, and of each of these its expected impressions (n,) and its answers (n,)."""
        worth, examined = self._worth(now), self.examination(now)
        shown, answers = self._summed()
        average = (worth * answers.sum() + 1.0) / (worth * (examined @ shown) + PRIOR)
        known = items < len(self._shown)
        expected, answered = np.zeros(items.size), np.zeros(items.size)
        expected[known] = worth * (self._shown[items[known]] @ examined)
        answered[known] = worth * self._answered[items[known]].sum(axis=1)
        return float(average), expected, answered

    def _summed(self) -> tuple[Doubles, Doubles]:
        """Impressions and answers of all items by bucket (B,); summed once a change, for every request asks."""
        if self._totals is None:
            self._totals = self._shown.sum(axis=0), self._answered.sum(axis=0)
        return self._totals

    def _worth(self, now: float) -> float:
        """What a count is worth now, of what it is worth at the one time that all are kept for."""
        return 1.0 if self._at is None else value_at(self._at / HALF_LIFE, HALF_LIFE, now)


def _drawn(average: float, expected: Doubles, answered: Doubles) -> Floats:
    """Answers over expected impressions, few of them drawn to the average."""
    rates: Floats = ((answered + PRIOR * average) / (expected + PRIOR)).astype(np.float32)
    return rates
