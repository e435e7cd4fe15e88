"""What is linked to an item: what people went on to, what goes together with it; by position in the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.arrays import Ints
from serving.catalogue import Catalogue
from signals.decay import NOTHING

C = TypeVar("C")


class Followers(NamedTuple):
    """What is linked to one item: positions (F,), and decayed counts in log space (F,) with the half-life of their cells."""

    items: Ints
    visits: NDArray[np.float64]
    total: float
    """All of them together, in log space."""


class Links(Generic[C]):
    """Links of one kind of cell, summed over partitions when an item's are first asked for, and kept until they change.

    Most cells change more often than anybody asks for them.
    """

    def __init__(self, catalogue: Catalogue, merged: Callable[[Iterable[C]], Mapping[str, float]]) -> None:
        self._catalogue, self._merged = catalogue, merged
        self._cells: dict[int, Sequence[C]] = {}
        self._summed: dict[int, Followers] = {}

    def put(self, cells: Mapping[int, Sequence[C]]) -> None:
        """Take over the changed cells of some items, of all partitions."""
        self._cells.update(cells)
        for at in cells:
            self._summed.pop(at, None)

    def of(self, at: int) -> Followers | None:
        """The links of the item at a position; None where it has none."""
        found = self._summed.get(at)
        if found is None and (cells := self._cells.get(at)) is not None:
            found = self._summed[at] = by_position(self._catalogue, self._merged(cells))
        return found


def by_position(catalogue: Catalogue, counts: Mapping[str, float]) -> Followers:
    """Counts by item id (log space) as columns; items that the catalogue never heard of are left out."""
    items = catalogue.looked_up(counts)
    logs = np.fromiter(counts.values(), np.float64, len(counts))
    items, logs = items[items >= 0], logs[items >= 0]
    top = float(logs.max(initial=NOTHING))
    return Followers(items, logs, top + float(np.log2(np.exp2(logs - top).sum())) if logs.size else NOTHING)
