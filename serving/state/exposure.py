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
from signals.exposure import BEGINS, HALF_LIFE, SHOWN, by_bucket

PRIOR: Final = 20.0
"""Expected impressions at which the clicks of an item and the average count the same."""
ANSWERS: Final[Mapping[str, float]] = {"click": 1.0}
"""Event types that answer an impression, and the weight of each."""
_IMPRESSIONS: Final[Mapping[str, float]] = {SHOWN: 1.0}


class Exposed(NamedTuple):
    """The impressions and answers of an item by bucket of ranks (B,), decayed to the reference time of all counts."""

    shown: Sequence[float]
    answered: Sequence[float]


class _Moment(NamedTuple):
    """The values over all items at one second."""

    second: float
    worth: float
    """The factor that decays a count from the reference time to this second."""
    examined: Doubles
    """The examination of each bucket of ranks (B,)."""
    average: float
    """The click-through of all items."""


class Exposure:
    """Impressions and answers by position in the catalogue and bucket of ranks, all decayed to one reference time."""

    def __init__(self, answers: Mapping[str, float] = ANSWERS) -> None:
        self._weights = answers
        self._at: float | None = None
        self._shown: Doubles = np.zeros((0, len(BEGINS)))
        self._answered: Doubles = np.zeros((0, len(BEGINS)))
        # Over all ranks, by position.
        self._all_answered: Doubles = np.zeros(0)
        self._moment: _Moment | None = None

    @property
    def empty(self) -> bool:
        """True until the first impression or answer."""
        return self._at is None

    def read(self, counts: Mapping[str, float]) -> Exposed:
        """An item's merged counts (``signals.exposure.merge``) in the form that ``put`` stores."""
        if self._at is None:
            # All counts decay at the same rate, so any one reference time will do.
            self._at = max(counts.values(), default=0.0) * HALF_LIFE
        return Exposed(by_bucket(counts, _IMPRESSIONS, self._at), by_bucket(counts, self._weights, self._at))

    def put(self, exposed: Mapping[int, Exposed]) -> None:
        """Store the counts of items, by position."""
        if not exposed:
            return
        items = np.fromiter(exposed, np.int64, len(exposed))
        if (top := int(items.max())) >= len(self._shown):
            self._widen(top + 1_024)
        self._shown[items], self._answered[items] = zip(*exposed.values(), strict=True)
        self._all_answered[items] = self._answered[items].sum(axis=1)
        self._moment = None

    def examination(self, now: float) -> Doubles:
        """The examination of each bucket of ranks relative to the first (B,), 0 to 1; 1 without data."""
        return self._of_all(now).examined

    def relative(self, items: Ints, now: float, most: float = inf) -> Floats:
        """For each item, its click-through at the first rank divided by the average (n,), from 1 / ``most`` to ``most``.

        It is shrunk to the average, and 1 for an item with fewer than PRIOR expected impressions.
        """
        moment = self._of_all(now)
        return kernels.click_through(
            self._shown, self._all_answered, moment.examined, items, moment.worth, moment.average, PRIOR, most
        )

    def _of_all(self, now: float) -> _Moment:
        """The values at the second of ``now``; cached, because every request needs them."""
        second = now // 1.0
        if self._moment is None or self._moment.second != second:
            worth = 1.0 if self._at is None else value_at(self._at / HALF_LIFE, HALF_LIFE, second)
            shown, answered = worth * self._shown.sum(axis=0), worth * self._answered.sum(axis=0)
            overall = (answered.sum() + 1.0) / (shown.sum() + PRIOR)
            rates = (answered + PRIOR * overall) / (shown + PRIOR)
            examined = np.minimum(rates / rates[0], 1.0)
            average = float((answered.sum() + 1.0) / (examined @ shown + PRIOR))
            self._moment = _Moment(second, worth, examined, average)
        return self._moment

    def _widen(self, room: int) -> None:
        added = np.zeros((room - len(self._shown), len(BEGINS)))
        self._shown = np.concatenate([self._shown, added])
        self._answered = np.concatenate([self._answered, added])
        self._all_answered = np.concatenate([self._all_answered, added[:, 0]])
