"""The rank of the target item in a ranked list, or by scores among the candidates. Ties count half."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from offline.evaluation.ranking_metrics import MISS
from serving.ranking.blend import CandidateSet
from serving.ranking.pipeline import RankedList

_EQUAL = 1e-6
"""Two scores of a list are equal if they differ by less."""


def rank_in_list(ranked: RankedList, target: str) -> float:
    """Returns the target item's rank, from 1; MISS if it is not listed. Of items with an equal score, half count as better."""
    score = next((item.score for item in ranked.items if item.item_id == target), None)
    if score is None:
        return MISS
    tied = [index for index, item in enumerate(ranked.items) if abs(item.score - score) < _EQUAL]
    return 1.0 + (tied[0] + tied[-1]) / 2


def candidate_index(candidates: CandidateSet, position: int | None) -> int | None:
    """Returns the index among the candidates of the item at a catalogue position; None if it is not a candidate."""
    if position is None:
        return None
    indices = np.flatnonzero(candidates.items == position)
    return int(indices[0]) if indices.size else None


def rank_among(scores: NDArray[Any], index: int | None) -> float:
    """Returns the rank by scores (C,) of the candidate at an index. Ties count half. MISS without an index or a score."""
    if index is None or scores[index] <= 0:
        return MISS
    return 1.0 + float((scores > scores[index]).sum()) + float((scores == scores[index]).sum() - 1) / 2
