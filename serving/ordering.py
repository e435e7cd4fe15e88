"""Order that every process agrees on: by score, and equal scores by a hash of the item's id.

Positions in the catalogue depend on the order in which a process met its items, and sums on the order in which it
merged them: neither may decide what a person sees first.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_DECIMALS: Final = 6
"""Scores that differ by less are equal."""


def strongest(scores: NDArray[Any], count: int, ties: NDArray[np.uint32]) -> NDArray[np.intp]:
    """Indices of the ``count`` greatest finite scores (C,), greatest first, ties by ``ties`` (C,), smallest first."""
    finite = np.flatnonzero(np.isfinite(scores))
    rounded = np.round(scores[finite].astype(np.float64), _DECIMALS)
    if 0 < count < finite.size:
        # All that could be among the first ``count``, those that tie with the last of them included.
        within = rounded >= np.partition(rounded, finite.size - count)[finite.size - count]
        finite, rounded = finite[within], rounded[within]
    return finite[np.lexsort((ties[finite], -rounded))[: max(0, count)]]
