"""Precomputed lists of a trained version: each known user's best unseen items, each item's most similar ones.

Made in blocks on the driver also where Spark trains: the factors are there, one matrix product makes
thousands of lists, and a store is written from one place; executors would ship the same factors to do the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_limits

from models.lists import ScoredList
from models.neighbours import Neighbours
from models.recommender import Recommender
from offline.archive import Progress, quiet
from offline.dataset import Interactions, is_guest

CELLS: Final = 8_000_000
"""Scores held at once: 32 MB of float32."""


def user_lists(
    model: Recommender, interactions: Interactions, count: int, progress: Progress = quiet
) -> Iterator[tuple[str, bytes]]:
    """``(user_id, packed ScoredList)`` of everyone known by a user_id, without what they have interacted with.

    Each is as long as ``count`` or as there are items left.
    """
    known = known_users(interactions)
    step = max(1, CELLS // max(1, len(model.item_ids)))
    for start in range(0, known.size, step):
        progress("lists of users", start, known.size)
        rows = known[start : start + step]
        scores = _unseen_scores(model, interactions, rows)
        for row, line in zip(rows.tolist(), scores, strict=True):
            yield interactions.user_ids[row], ScoredList.best(model.item_ids, line, count).save()


def item_lists(neighbours: Neighbours, count: int, progress: Progress = quiet) -> Iterator[tuple[str, bytes]]:
    """``(item_id, packed ScoredList)`` of each item that has a neighbour."""
    for done, item_id in enumerate(neighbours.item_ids):
        if done % 1_000 == 0:
            progress("lists of items", done, len(neighbours.item_ids))
        if similar := neighbours.similar(item_id, count):
            yield item_id, similar.save()


def known_users(interactions: Interactions) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Rows of those who have a user_id."""
    return np.flatnonzero([not is_guest(user_id) for user_id in interactions.user_ids])


def _unseen_scores(
    model: Recommender, interactions: Interactions, rows: np.ndarray[Any, np.dtype[np.intp]]
) -> np.ndarray[Any, np.dtype[np.float32]]:
    # One BLAS thread, whose sums do not depend on the machine's cores.
    with threadpool_limits(1, user_api="blas"):
        scores = model.score_histories(interactions.histories(rows))
    seen = interactions.matrix[rows]
    lines = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))
    scores[lines, seen.indices] = -np.inf
    return scores
