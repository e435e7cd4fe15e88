"""Collects the items that users chose among the candidates, and learns the weights of candidate sources from them."""

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
"""Number of best candidates of each source that enter a choice."""
_MAX_CHOICES: Final = 5_000
"""Limit of choices. Newer choices replace the oldest."""
_OFTEN: Final = 0.05
"""A kind of ``Revisits`` is frequent if at least this share of the interactions of sessions are of it."""


class SourceWeightLearner:
    """Learns the weights of the blend from the newest choices."""

    def __init__(self, config: RankingConfig) -> None:
        self._sources = tuple(name for name, weight in config.sources.items() if weight > 0)
        self._choices: deque[SourceChoice] = deque(maxlen=_MAX_CHOICES)
        self._revisits: deque[Revisits] = deque(maxlen=_MAX_CHOICES)

    def add_choice(self, candidates: CandidateSet, context: RankingContext, position: int | None, subject: str) -> None:
        """Adds a choice: the candidates, of which the user chose the item at this catalogue position.

        Adds nothing if the item is not among the best candidates.
        """
        choice = choice_among(candidates, position, self._sources, context.profile.events, subject)
        if choice is not None:
            self._choices.append(choice)

    def add_revisit(self, value: UserValue, item_id: str) -> None:
        """Adds whether a session went to a new item, back to an earlier one, or stayed with the current one."""
        if item_id not in value.seen:
            self._revisits.append(Revisits.NONE)
        else:
            same = value.recent and value.recent[-1].item == item_id
            self._revisits.append(Revisits.ALL if same else Revisits.EARLIER)

    @property
    def revisits(self) -> Revisits:
        """The items that sessions of this site often revisit."""
        threshold = max(1.0, _OFTEN * len(self._revisits))
        frequent = [kind for kind in Revisits if self._revisits.count(kind) >= threshold]
        return max(frequent, default=Revisits.NONE)

    def learn(self, expected: Expected | None = None) -> SourceWeights | None:
        """Returns the weights learned from the choices. ``expected`` gives the weights that the site configured."""
        return learn(list(self._choices), self._sources, expected, revisits=self.revisits)


def choice_among(
    candidates: CandidateSet, position: int | None, sources: tuple[str, ...], interactions: int, subject: str
) -> SourceChoice | None:
    """Returns the best candidates of each source, and which of them was chosen; None if the chosen item is not among them.

    The chosen item is not added to the best candidates. Else the learner would see too many chosen items with low scores.
    The candidates are the best of each source, not the best by sum. Else only items that all sources like could be chosen.
    """
    chosen = candidate_index(candidates, position)
    if chosen is None:
        return None
    table, _ = candidates.table(candidates.scores)
    top_candidates = _top_candidates(table)
    if chosen not in top_candidates:
        return None
    scores = np.zeros((top_candidates.size, len(sources)), np.float32)
    for row, name in enumerate(candidates.names):
        scores[:, sources.index(name)] = table[row, top_candidates]
    return SourceChoice(scores, int(np.flatnonzero(top_candidates == chosen)[0]), interactions, subject)


def _top_candidates(table: Floats) -> NDArray[np.intp]:
    """Returns the indices of the candidates that are among the best of a source, given scores (S, C)."""
    best = np.argsort(-table, axis=1, kind="stable")[:, :_TOP_CANDIDATES]
    return np.unique(best[np.take_along_axis(table, best, axis=1) > 0])
