"""How willingly an item is clicked where it is shown: clicks over expected clicks, for any items at once.

A place's examination is what its click-through is of the first place's, over all items; an impression at a place that
is looked at half as often counts half (Zhang, Jones, QLWA at WWW 2007). Few impressions are drawn to the average.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Floats, Ints
from serving.arrays import kernels
from signals.decay import value_at
from signals.exposure import BEGINS, HALF_LIFE, SHOWN, by_bucket

PRIOR: Final = 20.0
"""Expected impressions at which an item's own clicks count as much as the average."""
ANSWERS: Final[Mapping[str, float]] = {"click": 1.0}
"""Types that answer an impression, and how much each counts."""
_IMPRESSIONS: Final[Mapping[str, float]] = {SHOWN: 1.0}

Doubles = NDArray[np.float64]


class Exposed(NamedTuple):
    """An item's impressions and answers by bucket of places (B,), as of the one time that all are kept for."""

    shown: Sequence[float]
    answered: Sequence[float]


class _Moment(NamedTuple):
    """What holds for all items at one second."""

    second: float
    worth: float
    """What a count is worth, of what it is worth at the one time that all are kept for."""
    examined: Doubles
    """How often each bucket of places is looked at (B,)."""
    average: float
    """The click-through of all items."""


class Exposure:
    """Impressions and answers by position in the catalogue and bucket of places, all as of one time."""

    def __init__(self, answers: Mapping[str, float] = ANSWERS) -> None:
        self._weights = answers
        self._at: float | None = None
        self._shown: Doubles = np.zeros((0, len(BEGINS)))
        self._answered: Doubles = np.zeros((0, len(BEGINS)))
        # Over all places, by position.
        self._all_answered: Doubles = np.zeros(0)
        self._moment: _Moment | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing was ever shown or answered."""
        return self._at is None

    def read(self, counts: Mapping[str, float]) -> Exposed:
        """An item's merged counts (``signals.exposure.merge``) as ``put`` takes them over."""
        if self._at is None:
            # All counts fade alike, so that any one time serves to add and to divide them.
            self._at = max(counts.values(), default=0.0) * HALF_LIFE
        return Exposed(by_bucket(counts, _IMPRESSIONS, self._at), by_bucket(counts, self._weights, self._at))

    def put(self, exposed: Mapping[int, Exposed]) -> None:
        """Take over the counts of items, by position."""
        if not exposed:
            return
        items = np.fromiter(exposed, np.int64, len(exposed))
        if (top := int(items.max())) >= len(self._shown):
            self._widen(top + 1_024)
        self._shown[items], self._answered[items] = zip(*exposed.values(), strict=True)
        self._all_answered[items] = self._answered[items].sum(axis=1)
        self._moment = None

    def examination(self, now: float) -> Doubles:
        """How often each bucket of places is looked at, as a share of the first (B,), 0 to 1; 1 where nothing is known."""
        return self._of_all(now).examined

    def relative(self, items: Ints, now: float, most: float = inf) -> Floats:
        """Each item's click-through as if it always stood first, as a multiple of the average of all (n,).

        Drawn to the average; 1 where an item was hardly looked at: less than PRIOR times. At most ``most``, and at least
        1 / ``most``.
        """
        moment = self._of_all(now)
        return kernels.click_through(
            self._shown, self._all_answered, moment.examined, items, moment.worth, moment.average, PRIOR, most
        )

    def _of_all(self, now: float) -> _Moment:
        """As of the second of ``now``, worked out once: every request asks."""
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
        more = np.zeros((room - len(self._shown), len(BEGINS)))
        self._shown = np.concatenate([self._shown, more])
        self._answered = np.concatenate([self._answered, more])
        self._all_answered = np.concatenate([self._all_answered, more[:, 0]])
