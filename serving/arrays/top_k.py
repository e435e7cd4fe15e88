"""An order that is the same in every process: by score, and equal scores by a hash of the item's id.

Positions in the catalogue depend on the order in which a process read its items, and sums on the order in which it
merged them. Neither may decide the order of a list.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from serving.arrays import kernels

_FUSION: Final = 10.0
"""Reciprocal rank fusion's constant: Cormack, Clarke, Büttcher, SIGIR 2009 (they use 60 on longer lists)."""


def top_k(scores: NDArray[Any], count: int, ties: NDArray[np.uint32], above: float = -inf) -> NDArray[np.int64]:
    """Indices of the ``count`` greatest finite scores (C,), greatest first, ties by ``ties`` (C,), smallest first.

    Only scores above ``above``; scores that differ by less than a millionth are equal.
    """
    return kernels.top_k(scores, ties, count, above)


def reciprocal_rank_fusion(
    orders: Sequence[NDArray[np.integer[Any]]], ties: NDArray[np.uint32], count: int
) -> NDArray[np.int32]:
    """Fuse several orders of positions into one by reciprocal rank; ``ties`` (n,) are the hashes of all positions."""
    scores = np.zeros(ties.size)
    for order in orders:
        scores[order] += 1.0 / (_FUSION + np.arange(order.size))
    return top_k(np.where(scores > 0, scores, -np.inf), count, ties).astype(np.int32)
