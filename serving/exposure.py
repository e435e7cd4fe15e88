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
    """Impressions and answers by bucket of places and position in the catalogue, all as of one time."""

    def __init__(self, answers: Mapping[str, float] = ANSWERS) -> None:
        self._weights = answers
        self._at: float | None = None
        self._shown: Doubles = np.zeros((len(BEGINS), 0))
        self._answered: Doubles = np.zeros((len(BEGINS), 0))

    def put(self, at: int, counts: Mapping[str, float]) -> None:
        """Take over an item's merged counts (``signals.exposure.merge_exposure``)."""
        if self._at is None:
            # All counts fade alike, so that any one time serves to add and to divide them.
            self._at = max(counts.values(), default=0.0) * HALF_LIFE
        if at >= self._shown.shape[1]:
            room = np.zeros((len(BEGINS), at + 1_024 - self._shown.shape[1]))
            self._shown = np.concatenate([self._shown, room], axis=1)
            self._answered = np.concatenate([self._answered, room], axis=1)
        self._shown[:, at] = by_bucket(counts, _IMPRESSIONS, self._at)
        self._answered[:, at] = by_bucket(counts, self._weights, self._at)

    def examination(self, now: float) -> Doubles:
        """How often each bucket of places is looked at, as a share of the first (B,), 0 to 1; 1 where nothing is known."""
        worth = self._worth(now)
        shown, answered = worth * self._shown.sum(axis=1), worth * self._answered.sum(axis=1)
        overall = (answered.sum() + 1.0) / (shown.sum() + PRIOR)
        rates = (answered + PRIOR * overall) / (shown + PRIOR)
        shares: Doubles = np.minimum(rates / rates[0], 1.0)
        return shares

    def rates(self, items: Ints, now: float) -> Floats:
        """Each item's click-through as if it always stood first (n,), drawn to the average of all."""
        worth, examined = self._worth(now), self.examination(now)
        average = (worth * self._answered.sum() + 1.0) / (worth * (examined @ self._shown).sum() + PRIOR)
        known = items < self._shown.shape[1]
        expected, answered = np.zeros(items.size), np.zeros(items.size)
        expected[known] = worth * (examined @ self._shown[:, items[known]])
        answered[known] = worth * self._answered[:, items[known]].sum(axis=0)
        rates: Floats = ((answered + PRIOR * average) / (expected + PRIOR)).astype(np.float32)
        return rates

    def _worth(self, now: float) -> float:
        """What a count is worth now, of what it is worth at the one time that all are kept for."""
        return 1.0 if self._at is None else value_at(self._at / HALF_LIFE, HALF_LIFE, now)
