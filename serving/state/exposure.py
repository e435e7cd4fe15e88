"""Click-through of items, corrected for position bias: clicks over expected clicks, for arrays of items.

The examination of a rank is its click-through divided by that of the first rank, over all items. An impression at a
rank with examination 0.5 counts half (Zhang, Jones, QLWA at WWW 2007). Items with few impressions shrink to the average.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Final, NamedTuple

import numpy as np

from models.structures.arrays import Doubles, Floats, Ints
from serving.arrays import kernels
from signals.decay import value_at
from signals.kinds.exposure import BEGINS, HALF_LIFE, IMPRESSION, by_bucket

PRIOR: Final = 20.0
"""Expected impressions at which the clicks of an item and the average count the same."""
REFERENCE: Final = 2_208_988_800.0
"""1 January 2040, the time to which all counts decay. They decay at the same rate, so any one time will do.

A time that came from the counts could be so old (1970, where the first item has none left) that all others overflow.
Within 38 years of this one nothing does.
"""
RESPONSES: Final[Mapping[str, float]] = {"click": 1.0}
"""Event types that respond to an impression, and the weight of each."""
_IMPRESSION_WEIGHT: Final[Mapping[str, float]] = {IMPRESSION: 1.0}


class Exposed(NamedTuple):
    """The impressions and responses of an item by bucket of ranks (B,), decayed to the reference time of all counts."""

    impressions: Sequence[float]
    responses: Sequence[float]


class _Totals(NamedTuple):
    """Totals over all items, decayed to one second."""

    second: float
    decay: float
    """The factor that decays a count from the reference time to this second."""
    examined: Doubles
    """The examination of each bucket of ranks (B,)."""
    average: float
    """The click-through of all items."""


class Exposure:
    """Impressions and responses by position in the catalogue and bucket of ranks, all decayed to one reference time."""

    def __init__(self, responses: Mapping[str, float] = RESPONSES) -> None:
        self._weights = responses
        self._impressions: Doubles = np.zeros((0, len(BEGINS)))
        self._responses: Doubles = np.zeros((0, len(BEGINS)))
        # Over all ranks, by position.
        self._all_responses: Doubles = np.zeros(0)
        self._totals: _Totals | None = None

    @property
    def empty(self) -> bool:
        """True until the first impression or response."""
        return not len(self._impressions)

    def read(self, counts: Mapping[str, float]) -> Exposed:
        """An item's merged counts (``signals.kinds.exposure.merge``) in the form that ``put`` stores."""
        return Exposed(by_bucket(counts, _IMPRESSION_WEIGHT, REFERENCE), by_bucket(counts, self._weights, REFERENCE))

    def put(self, exposed: Mapping[int, Exposed]) -> None:
        """Store the counts of items, by position."""
        if not exposed:
            return
        items = np.fromiter(exposed, np.int64, len(exposed))
        if (top := int(items.max())) >= len(self._impressions):
            self._widen(top + 1_024)
        self._impressions[items], self._responses[items] = zip(*exposed.values(), strict=True)
        self._all_responses[items] = self._responses[items].sum(axis=1)
        self._totals = None

    def let_go(self, position: int) -> None:
        """Drop the counts of the item at a position."""
        if position < len(self._impressions):
            self._impressions[position] = self._responses[position] = self._all_responses[position] = 0.0
            self._totals = None

    def examination(self, now: float) -> Doubles:
        """The examination of each bucket of ranks relative to the first (B,), 0 to 1; 1 without data."""
        return self._of_all(now).examined

    def relative(self, items: Ints, now: float, limit: float = inf) -> Floats:
        """For each item, its click-through at the first rank divided by the average (n,), from 1 / ``limit`` to ``limit``.

        It is shrunk to the average, and 1 for an item with fewer than PRIOR expected impressions.
        """
        totals = self._of_all(now)
        return kernels.click_through(
            self._impressions, self._all_responses, totals.examined, items, totals.decay, totals.average, PRIOR, limit
        )

    def _of_all(self, now: float) -> _Totals:
        """The values at the second of ``now``; cached, because every request needs them."""
        second = now // 1.0
        if self._totals is None or self._totals.second != second:
            decay = value_at(REFERENCE / HALF_LIFE, HALF_LIFE, second)
            impressions, responses = decay * self._impressions.sum(axis=0), decay * self._responses.sum(axis=0)
            overall = (responses.sum() + 1.0) / (impressions.sum() + PRIOR)
            rates = (responses + PRIOR * overall) / (impressions + PRIOR)
            examined = np.minimum(rates / rates[0], 1.0)
            average = float((responses.sum() + 1.0) / (examined @ impressions + PRIOR))
            self._totals = _Totals(second, decay, examined, average)
        return self._totals

    def _widen(self, room: int) -> None:
        added = np.zeros((room - len(self._impressions), len(BEGINS)))
        self._impressions = np.concatenate([self._impressions, added])
        self._responses = np.concatenate([self._responses, added])
        self._all_responses = np.concatenate([self._all_responses, added[:, 0]])
