"""Order that every process agrees on: by score, and equal scores by a hash of the item's id.

Positions in the catalogue depend on the order in which a process met its items, and sums on the order in which it
merged them: neither may decide what a person sees first.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.arrays import floors

_FUSION: Final = 10.0
"""Reciprocal rank fusion's constant: Cormack, Clarke, Büttcher, SIGIR 2009 (they use 60 on longer lists)."""
_DECIMALS: Final = 6
"""Scores that differ by less are equal."""


def strongest(scores: NDArray[Any], count: int, ties: NDArray[np.uint32]) -> NDArray[np.intp]:
    """Indices of the ``count`` greatest finite scores (C,), greatest first, ties by ``ties`` (C,), smallest first."""
    near = leading(scores, count)
    rounded = np.rint(scores[near].astype(np.float64) * -(10.0**_DECIMALS))
    return near[np.lexsort((ties[near], rounded))[: max(0, count)]]


def leading(scores: NDArray[Any], count: int) -> NDArray[np.intp]:
    """Rising indices of all that could be among the ``count`` greatest finite scores (C,), ties with the last included."""
    if 0 < count < scores.size and isfinite(scores.max()):
        floor = floors(scores[None, :], count)[0]
        if isfinite(floor):
            return _where(scores >= floor - 10.0**-_DECIMALS)
    return _where(np.isfinite(scores))


def _where(true: NDArray[np.bool_]) -> NDArray[np.intp]:
    """``np.flatnonzero`` without the calls around it, which take as long as the work where there is little to look at."""
    return true.nonzero()[0]


def fused(orders: Sequence[NDArray[np.integer[Any]]], ties: NDArray[np.uint32], count: int) -> NDArray[np.int32]:
    """Several orders of positions as one, by reciprocal rank; ``ties`` (n,) is of all positions."""
    scores = np.zeros(ties.size)
    for order in orders:
        scores[order] += 1.0 / (_FUSION + np.arange(order.size))
    return strongest(np.where(scores > 0, scores, -np.inf), count, ties).astype(np.int32)
