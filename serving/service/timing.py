"""Measures the time and the number of candidates of each candidate source, for a sample of the lists."""

from __future__ import annotations

from typing import Final

from schemas.ports import Clock
from serving import metrics
from serving.ranking.candidates.registry import candidate_sources
from serving.ranking.candidates.source import CandidateSource
from serving.ranking.context import Candidates, RankingContext
from serving.ranking.pipeline import CallSource, call_source

_EVERY: Final = 16
"""One list of this many is timed, because timing all sources of a list takes some 30 µs."""


class Timing:
    """Chooses the lists that are timed, evenly."""

    def __init__(self, steady: Clock) -> None:
        self._steady, self._made = steady, 0
        self._seconds = {name: metrics.CANDIDATES_SECONDS.labels(name) for name in candidate_sources()}
        self._candidates = {name: metrics.CANDIDATES.labels(name) for name in candidate_sources()}

    def next(self) -> CallSource:
        """The function that calls the sources of the next list."""
        self._made += 1
        return self._timed if self._made % _EVERY == 1 else call_source

    def _timed(self, source: CandidateSource, context: RankingContext) -> Candidates:
        began = self._steady()
        candidates = source.generate(context)
        self._seconds[source.name].observe(self._steady() - began)
        self._candidates[source.name].inc(candidates.items.size)
        return candidates
