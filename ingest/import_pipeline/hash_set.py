"""A growing set of 64-bit hashes in 8 bytes each, asked and extended by arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
"""A row of 64-bit hashes."""
HASH: Final = np.dtype("<u8")
"""How a hash is stored."""


class HashSet:
    """Keeps sorted arrays, each at least twice as long as the next: an insertion merges few of them."""

    def __init__(self) -> None:
        self._runs: list[Hashes] = []

    def __len__(self) -> int:
        """Number of hashes."""
        return sum(map(len, self._runs))

    def contains(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """A mask of those that are in the set."""
        return contained(self._runs, hashes)

    def add(self, hashes: Hashes) -> None:
        """Adds hashes that are not in the set yet."""
        self._runs.append(np.sort(hashes))
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            # A stable sort merges two sorted runs in linear time.
            self._runs.append(np.sort(np.concatenate([self._runs.pop(), self._runs.pop()]), kind="stable"))

    def to_sorted(self) -> Hashes:
        """All hashes in order."""
        return np.sort(np.concatenate([*self._runs, np.empty(0, HASH)]), kind="stable")


def contained(runs: Sequence[Hashes], hashes: Hashes) -> npt.NDArray[np.bool_]:
    """A mask of the hashes that are in any of these sorted arrays."""
    order = np.argsort(hashes)
    # Searching in order reads each array once from its beginning to its end.
    wanted = hashes[order]
    found = np.zeros(len(hashes), bool)
    for run in filter(len, runs):
        places = np.searchsorted(run, wanted)
        found |= run[np.minimum(places, len(run) - 1)] == wanted
    mask = np.empty(len(hashes), bool)
    mask[order] = found
    return mask
