"""Scores for a list that the caller brings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from models.structures.arrays import Floats
from serving.ranking.context import RankingContext, max_normalize
from serving.ranking.user_vector import user_vector

_PRIOR: Final = 0.05
"""How much popularity adds; it alone orders the list for a stranger and among items that the model does not know."""


def scores(context: RankingContext, item_ids: Sequence[str]) -> list[float]:
    """One score an item, comparable within the list: the model's for this person, and a little popularity."""
    found = _by_model(context, item_ids) + np.float32(_PRIOR) * max_normalize(_popularity(context, item_ids))
    answer: list[float] = found.tolist()
    return answer


def _by_model(context: RankingContext, item_ids: Sequence[str]) -> Floats:
    factors = user_vector(context)
    if context.models.als is None or factors is None:
        return np.zeros(len(item_ids), np.float32)
    return np.nan_to_num(context.models.als.score_items(factors, item_ids), nan=0.0)


def _popularity(context: RankingContext, item_ids: Sequence[str]) -> Floats:
    positions = [context.catalogue.position(item_id) for item_id in item_ids]
    known = [at for at in positions if at is not None]
    counts = iter(np.log1p(np.maximum(context.signals.aggregates.count(np.array(known, np.int32)), 0.0)).tolist())
    return np.array([0.0 if at is None else next(counts) for at in positions], np.float32)
