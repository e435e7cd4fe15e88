"""Collects what users chose among the candidates, and learns the weights of candidate sources from it."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.source_weights import Revisits, SourceWeights
from models.structures.arrays import Floats
from offline.training.blending.source_weights import Expected, SourceChoice, learn
from replay.ranks import candidate_index
from serving.ranking.blend import CandidateSet
from serving.ranking.config import RankingConfig
from serving.ranking.context import RankingContext
from signals.users import UserValue

_TOP_CANDIDATES: Final = 20
"""Best candidates of each source that a choice is made among."""
_MAX_CHOICES: Final = 5_000
"""Newest choices that are kept."""
_OFTEN: Final = 0.05
"""A kind of ``Revisits`` is frequent from this share of a session's interactions on."""


class WeightLearner:
    """Learns the weights of the blend from the newest choices."""

    def __init__(self, config: RankingConfig) -> None:
        self._sources = tuple(name for name, weight in config.sources.items() if weight > 0)
        self._choices: deque[SourceChoice] = deque(maxlen=_MAX_CHOICES)
        self._revisits: deque[Revisits] = deque(maxlen=_MAX_CHOICES)

    def add_choice(self, candidates: CandidateSet, context: RankingContext, position: int | None, subject: str) -> None:
        """Keeps the candidates and which of them was chosen: the item at this catalogue position, if it is one."""
        choice = choice_among(candidates, position, self._sources, context.profile.events, subject)
        if choice is not None:
            self._choices.append(choice)

    def add_revisit(self, value: UserValue, item_id: str) -> None:
        """Keeps whether a session went to a new item, back to an earlier one, or stayed with the same one."""
        if item_id not in value.seen:
            self._revisits.append(Revisits.NONE)
        else:
            same = value.recent and value.recent[-1].item == item_id
            self._revisits.append(Revisits.ALL if same else Revisits.EARLIER)

    @property
    def revisits(self) -> Revisits:
        """Which items sessions often turn to once more."""
        least = max(1.0, _OFTEN * len(self._revisits))
        frequent = [kind for kind in Revisits if self._revisits.count(kind) >= least]
        return max(frequent, default=Revisits.NONE)

    def learn(self, expected: Expected | None = None) -> SourceWeights | None:
        """The weights learned from the choices; ``expected`` are the weights that the site configured."""
        return learn(list(self._choices), self._sources, expected, revisits=self.revisits)


def choice_among(
    candidates: CandidateSet, position: int | None, sources: tuple[str, ...], interactions: int, subject: str
) -> SourceChoice | None:
    """The best candidates of each source, and which of them was chosen; None if it was none of them.

    If the chosen item were always included, items with low scores would be learned as often chosen. If only the items
    with the best summed scores were included, only items that all sources like could be chosen.
    """
    chosen = candidate_index(candidates, position)
    if chosen is None:
        return None
    table, _ = candidates.table(candidates.scores)
    compared = _top_candidates(table)
    if chosen not in compared:
        return None
    scores = np.zeros((compared.size, len(sources)), np.float32)
    for row, name in enumerate(candidates.names):
        scores[:, sources.index(name)] = table[row, compared]
    return SourceChoice(scores, int(np.flatnonzero(compared == chosen)[0]), interactions, subject)


def _top_candidates(table: Floats) -> NDArray[np.intp]:
    """The indices of candidates that are among the best of any source, given scores (S, C)."""
    best = np.argsort(-table, axis=1, kind="stable")[:, :_TOP_CANDIDATES]
    return np.unique(best[np.take_along_axis(table, best, axis=1) > 0])
