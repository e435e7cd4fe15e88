"""Precomputed lists of a trained version: the best unseen items of each user, and the most similar items of each item.

Lists are computed in blocks by a matrix product and a partial sort. ``lists_spark`` does the same on Spark's executors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from models.neighbours import Neighbours
from models.structures.arrays import Floats, best_rows
from models.structures.lists import ScoredList
from models.structures.recommender import Recommender
from offline.data.archive import Progress, quiet
from offline.data.dataset import Interactions, is_guest
from offline.training.factorization.blocks import in_order

CELLS: Final = 4_000_000
"""Maximum number of scores in a block: 16 MB of float32 for each thread."""

RowNumbers = NDArray[np.intp]
Packed = tuple[str, bytes]
"""A key and its packed ``ScoredList``."""


def user_lists(
    model: Recommender, interactions: Interactions, count: int, progress: Progress = quiet, threads: int = 0
) -> Iterator[Packed]:
    """Yields ``(user_id, packed ScoredList)`` of everyone with a user_id, without the items of their history.

    A list has ``count`` items, or fewer if there are no more.
    """
    known = known_users(interactions)
    step = max(1, CELLS // max(1, len(model.item_ids)))
    blocks = [known[start : start + step] for start in range(0, known.size, step)]
    done = 0
    with threadpool_limits(1, user_api="blas"):
        for block in in_order(lambda rows: _block(model, interactions, rows, count), blocks, threads):
            progress("lists of users", done, known.size)
            done += len(block)
            yield from block


def item_lists(neighbours: Neighbours, count: int, progress: Progress = quiet) -> Iterator[Packed]:
    """Yields ``(item_id, packed ScoredList)`` of each item that has a neighbour."""
    for done, item_id in enumerate(neighbours.item_ids):
        if done % 1_000 == 0:
            progress("lists of items", done, len(neighbours.item_ids))
        if similar := neighbours.similar(item_id, count):
            yield item_id, similar.save()


def known_users(interactions: Interactions) -> RowNumbers:
    """Returns the rows of those who have a user_id."""
    return np.flatnonzero([not is_guest(user_id) for user_id in interactions.user_ids])


def _block(model: Recommender, interactions: Interactions, rows: RowNumbers, count: int) -> list[Packed]:
    scores = model.score_histories(interactions.histories(rows))
    user_ids = [interactions.user_ids[row] for row in rows.tolist()]
    return packed(model.item_ids, user_ids, scores, interactions.matrix[rows], count)


def packed(
    item_ids: Sequence[str], user_ids: Sequence[str], scores: Floats, seen: sp.csr_matrix, count: int
) -> list[Packed]:
    """Returns the lists of these users by ``scores`` (n, I). It overwrites scores where ``seen`` (n, I) has a value."""
    scores[np.repeat(np.arange(len(user_ids)), np.diff(seen.indptr)), seen.indices] = -np.inf
    chosen = best_rows(scores, count)
    values = np.take_along_axis(scores, chosen.positions, axis=1)
    lines = zip(user_ids, chosen.positions.tolist(), values.tolist(), chosen.lengths.tolist(), strict=True)
    return [
        (user_id, ScoredList(tuple(item_ids[position] for position in positions[:length]), tuple(line[:length])).save())
        for user_id, positions, line, length in lines
    ]
