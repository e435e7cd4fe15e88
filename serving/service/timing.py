"""How long each source of candidates takes and how much it finds, of a sample of the lists that are made."""

from __future__ import annotations

from typing import Final

from schemas.ports import Clock
from serving import metrics
from serving.ranking.candidates.registry import candidate_sources
from serving.ranking.candidates.source import CandidateSource
from serving.ranking.context import Candidates, RankingContext
from serving.ranking.pipeline import CallSource, call_source

_EVERY: Final = 16
"""Of so many lists one is timed: the clock and the metrics of all sources take some thirty microseconds."""


class Timing:
    """Chooses the lists that are timed, evenly."""

    def __init__(self, steady: Clock) -> None:
        self._steady, self._made = steady, 0
        self._seconds = {name: metrics.CANDIDATES_SECONDS.labels(name) for name in candidate_sources()}
        self._found = {name: metrics.CANDIDATES.labels(name) for name in candidate_sources()}

    def next(self) -> CallSource:
        """How the sources of the next list are asked."""
        self._made += 1
        return self._timed if self._made % _EVERY == 1 else call_source

    def _timed(self, source: CandidateSource, context: RankingContext) -> Candidates:
        began = self._steady()
        found = source.generate(context)
        self._seconds[source.name].observe(self._steady() - began)
        self._found[source.name].inc(found.items.size)
        return found
