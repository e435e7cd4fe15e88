"""The rank of the target item: in a ranked list, or among the scores of candidates. Ties count half."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from offline.evaluation.ranking_metrics import MISS
from serving.ranking.blend import CandidateSet
from serving.ranking.pipeline import RankedList

_EQUAL = 1e-6
"""Scores of a list that differ by less are equal."""


def rank_in_list(ranked: RankedList, target: str) -> float:
    """The target item's rank, from 1; half of the items with an equal score count as before it. MISS if not listed."""
    score = next((item.score for item in ranked.items if item.item_id == target), None)
    if score is None:
        return MISS
    tied = [index for index, item in enumerate(ranked.items) if abs(item.score - score) < _EQUAL]
    return 1.0 + (tied[0] + tied[-1]) / 2


def candidate_index(candidates: CandidateSet, position: int | None) -> int | None:
    """The index among the candidates of the item at a catalogue position; None if it is not a candidate."""
    if position is None:
        return None
    indices = np.flatnonzero(candidates.items == position)
    return int(indices[0]) if indices.size else None


def rank_among(scores: NDArray[Any], index: int | None) -> float:
    """The rank of one of the candidates by scores (C,), ties counted half; MISS if it is none of them or has no score."""
    if index is None or scores[index] <= 0:
        return MISS
    return 1.0 + float((scores > scores[index]).sum()) + float((scores == scores[index]).sum() - 1) / 2
