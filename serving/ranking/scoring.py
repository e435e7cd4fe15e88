"""Scores for a list of items that the caller sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from models.structures.arrays import Floats
from serving.ranking.context import RankingContext, max_normalize
from serving.ranking.user_vector import user_vector

_PRIOR: Final = 0.05
"""Weight of popularity. It alone orders the list of a cold-start user, and items that the model does not know."""


def scores(context: RankingContext, item_ids: Sequence[str]) -> list[float]:
    """The score of each item, comparable within the list: the model's score for this user plus a little popularity."""
    totals = _by_model(context, item_ids) + np.float32(_PRIOR) * max_normalize(_popularity(context, item_ids))
    answer: list[float] = totals.tolist()
    return answer


def _by_model(context: RankingContext, item_ids: Sequence[str]) -> Floats:
    factors = user_vector(context)
    if context.models.als is None or factors is None:
        return np.zeros(len(item_ids), np.float32)
    return np.nan_to_num(context.models.als.score_items(factors, item_ids), nan=0.0)


def _popularity(context: RankingContext, item_ids: Sequence[str]) -> Floats:
    positions = [context.catalogue.position(item_id) for item_id in item_ids]
    known = [position for position in positions if position is not None]
    counts = iter(np.log1p(np.maximum(context.signals.aggregates.count(np.array(known, np.int32)), 0.0)).tolist())
    return np.array([0.0 if position is None else next(counts) for position in positions], np.float32)
