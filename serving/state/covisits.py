"""What is linked to an item: what people went on to, what goes together with it; by position in the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Floats, Ints
from models.structures.sparse import changes
from serving.state.catalogue import Catalogue
from signals.decay import NOTHING

C = TypeVar("C")
_PLACE_BITS: Final = 32
_NO_ITEMS: Final = np.empty(0, np.int32)
_NO_COUNTS: Final = np.empty(0, np.float64)


@dataclass(frozen=True, eq=False)
class CovisitedItems:
    """What is linked to one item: positions (F,), and decayed counts in log space (F,) with the half-life of their cells."""

    items: Ints
    visits: NDArray[np.float64]
    total: float
    """All of them together, in log space."""
    _powers: dict[float, Floats] = field(default_factory=dict, init=False, repr=False)

    def shares(self, power: float) -> Floats:
        """Each one's share of the total count, to this power (F,); worked out once."""
        found = self._powers.get(power)
        if found is None:
            found = self._powers[power] = np.exp2(power * (self.visits - self.total)).astype(np.float32)
        return found


NOWHERE: Final = CovisitedItems(_NO_ITEMS, _NO_COUNTS, NOTHING)


class _Read(NamedTuple, Generic[C]):
    """A partition's cell of one item, by position: it is read once, however often those of other partitions change."""

    cell: C
    items: Ints
    visits: NDArray[np.float64]


class CovisitIndex(Generic[C]):
    """Links of one kind of cell, summed over partitions when an item's are first asked for, and kept until they change.

    Most cells change more often than anybody asks for them.
    """

    def __init__(self, catalogue: Catalogue, counts: Callable[[C], Mapping[str, float]]) -> None:
        """``counts`` reads a cell: what is linked, by item id, in log space."""
        self._catalogue, self._counts = catalogue, counts
        self._cells: dict[int, Sequence[C]] = {}
        self._read: dict[int, list[_Read[C]]] = {}
        self._summed: dict[int, CovisitedItems] = {}

    def put(self, cells: Mapping[int, Sequence[C]]) -> None:
        """Take over the changed cells of some items, of all partitions."""
        self._cells.update(cells)
        for at in cells:
            self._summed.pop(at, None)

    def of(self, at: int) -> CovisitedItems | None:
        """The links of the item at a position; None where it has none."""
        found = self._summed.get(at)
        if found is None and (cells := self._cells.get(at)) is not None:
            known = {id(each.cell): each for each in self._read.get(at, ())}
            read = self._read[at] = [known.get(id(cell)) or self._read_cell(cell) for cell in cells]
            found = self._summed[at] = _summed(read)
        return found

    def _read_cell(self, cell: C) -> _Read[C]:
        items, visits = _columns(self._catalogue, self._counts(cell))
        return _Read(cell, items, visits)


def by_position(catalogue: Catalogue, counts: Mapping[str, float]) -> CovisitedItems:
    """Counts by item id (log space) as columns; items that the catalogue never heard of are left out."""
    items, logs = _columns(catalogue, counts)
    return CovisitedItems(items, logs, _total(logs))


def _columns(catalogue: Catalogue, counts: Mapping[str, float]) -> tuple[Ints, NDArray[np.float64]]:
    items = catalogue.looked_up(counts)
    logs = np.fromiter(counts.values(), np.float64, len(counts))
    known = items >= 0
    return items[known], logs[known]


def _summed(read: Sequence[_Read[C]]) -> CovisitedItems:
    """The counts of several partitions as one."""
    items = np.concatenate([_NO_ITEMS, *(each.items for each in read)])
    logs = np.concatenate([_NO_COUNTS, *(each.visits for each in read)])
    if len(read) > 1 and items.size:
        keys = (items.astype(np.int64) << _PLACE_BITS) | np.arange(items.size)
        keys.sort()
        order = keys & (2**_PLACE_BITS - 1)
        items = items[order]
        begins = changes(items).nonzero()[0]
        items, logs = items[begins], np.logaddexp2.reduceat(logs[order], begins)
    return CovisitedItems(items, logs, _total(logs))


def _total(logs: NDArray[np.float64]) -> float:
    top = float(logs.max(initial=NOTHING))
    return top + float(np.log2(np.exp2(logs - top).sum())) if logs.size else NOTHING
