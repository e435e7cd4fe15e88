"""Regression trees as arrays, summed in numpy, so that inference needs no gradient-boosting library."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Ints, frozen

_CELLS: Final = 2_000_000
"""Maximum number of pairs of a row and a tree evaluated at a time."""


@dataclass(frozen=True, eq=False)
class Trees:
    """N nodes of T trees. A row goes left if ``row[feature] <= threshold``. The children of a leaf are itself."""

    roots: Ints
    """(T,)."""
    feature: Ints
    """(N,) 0 in a leaf."""
    threshold: NDArray[np.float64]
    """(N,)."""
    left: Ints
    right: Ints
    value: NDArray[np.float64]
    """(N,) 0 except in leaves."""
    depth: int
    """Number of steps that reach a leaf from every root."""

    def __post_init__(self) -> None:
        nodes = (self.feature.size,)
        object.__setattr__(self, "roots", frozen(self.roots, np.int32, (self.roots.size,)))
        for name in ("feature", "left", "right"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.int32, nodes))
        for name in ("threshold", "value"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.float64, nodes))

    def __eq__(self, other: object) -> bool:
        mine = self.arrays()
        return isinstance(other, Trees) and all(np.array_equal(mine[name], a) for name, a in other.arrays().items())

    def __hash__(self) -> int:
        return hash((self.roots.size, self.feature.size, self.depth))

    def predict(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the sum over all trees for each row (n, F), shape (n,). Features must not be NaN."""
        step = max(1, _CELLS // max(1, self.roots.size))
        blocks = [self._summed(rows[start : start + step]) for start in range(0, rows.shape[0], step)]
        return np.concatenate([*blocks, np.empty(0)])

    def _summed(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        line = np.arange(rows.shape[0])[:, None]
        node = np.broadcast_to(self.roots, (rows.shape[0], self.roots.size))
        for _ in range(self.depth):
            goes_left = rows[line, self.feature[node]] <= self.threshold[node]
            node = np.where(goes_left, self.left[node], self.right[node])
        summed: NDArray[np.float64] = self.value[node].sum(axis=1)
        return summed

    def are_whole(self, width: int) -> bool:
        """True if all children are valid nodes and all features are below ``width``."""
        nodes = np.concatenate((self.roots, self.left, self.right))
        return _within(nodes, self.feature.size) and _within(self.feature, width)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns the arrays by name, for ``of_arrays``."""
        return {f"trees_{field.name}": np.asarray(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def of_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Trees:
        """Returns the trees of ``arrays``."""
        parts: dict[str, Any] = {field.name: arrays[f"trees_{field.name}"] for field in fields(cls)}
        return cls(**parts | {"depth": int(parts["depth"])})


def _within(positions: Ints, count: int) -> bool:
    return not positions.size or (int(positions.min()) >= 0 and int(positions.max()) < count)
