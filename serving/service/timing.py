"""How long each source of candidates takes and how much it finds, of a sample of the lists that are made."""

from __future__ import annotations

from typing import Final

from schemas.ports import Clock
from serving import metrics
from serving.ranking.context import Candidates, RankingContext
from serving.ranking.pipeline import SOURCES, Asking, Source, plainly

_EVERY: Final = 16
"""Of so many lists one is timed: the clock and the metrics of all sources take some thirty microseconds."""


class Timing:
    """Chooses the lists that are timed, evenly."""

    def __init__(self, steady: Clock) -> None:
        self._steady, self._made = steady, 0
        self._seconds = {name: metrics.CANDIDATES_SECONDS.labels(name) for name in SOURCES}
        self._found = {name: metrics.CANDIDATES.labels(name) for name in SOURCES}

    def next(self) -> Asking:
        """How the sources of the next list are asked."""
        self._made += 1
        return self._timed if self._made % _EVERY == 1 else plainly

    def _timed(self, name: str, source: Source, context: RankingContext) -> Candidates:
        began = self._steady()
        found = source(context)
        self._seconds[name].observe(self._steady() - began)
        self._found[name].inc(found.items.size)
        return found
