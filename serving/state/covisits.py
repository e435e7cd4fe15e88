"""Items visited after an item, or put together with it, with their counts; by position in the catalogue."""

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
_INDEX_BITS: Final = 32
_NO_ITEMS: Final = np.empty(0, np.int32)
_NO_COUNTS: Final = np.empty(0, np.float64)


@dataclass(frozen=True, eq=False)
class CovisitedItems:
    """The items linked to one item: positions (F,) and decayed counts in log space (F,)."""

    items: Ints
    visits: NDArray[np.float64]
    total: float
    """The sum of the counts, in log space."""
    _powers: dict[float, Floats] = field(default_factory=dict, init=False, repr=False)

    def shares(self, power: float) -> Floats:
        """For each item, its share of the total count, to this power (F,); cached."""
        shares = self._powers.get(power)
        if shares is None:
            shares = self._powers[power] = np.exp2(power * (self.visits - self.total)).astype(np.float32)
        return shares


NO_COVISITS: Final = CovisitedItems(_NO_ITEMS, _NO_COUNTS, NOTHING)


class _PartitionCounts(NamedTuple, Generic[C]):
    """The counters of one item in one partition, by position; read once, even if those of other partitions change."""

    counters: C
    items: Ints
    visits: NDArray[np.float64]


class CovisitIndex(Generic[C]):
    """Covisits of one kind, summed over partitions at the first request for an item, and cached until they change.

    Most counters change more often than they are requested.
    """

    def __init__(self, catalogue: Catalogue, counts: Callable[[C], Mapping[str, float]]) -> None:
        """``counts`` returns the counts of counters by item id, in log space."""
        self._catalogue, self._read_counts = catalogue, counts
        self._counters: dict[int, Sequence[C]] = {}
        self._partition_counts: dict[int, list[_PartitionCounts[C]]] = {}
        self._summed: dict[int, CovisitedItems] = {}
        self._incomplete: set[int] = set()

    def put(self, counters: Mapping[int, Sequence[C]]) -> None:
        """Store the changed counters of some items, of all partitions, by position."""
        self._counters.update(counters)
        for position in counters:
            self._summed.pop(position, None)

    def of(self, position: int) -> CovisitedItems | None:
        """The covisits of the item at a position; None if it has none."""
        covisited = self._summed.get(position)
        if covisited is None and (all_counters := self._counters.get(position)) is not None:
            known = {id(counts.counters): counts for counts in self._partition_counts.get(position, ())}
            partition_counts = self._partition_counts[position] = [
                known.get(id(counters)) or self._read_counters(position, counters) for counters in all_counters
            ]
            covisited = self._summed[position] = _summed(partition_counts)
        return covisited

    def forget_incomplete(self) -> None:
        """Sum the covisits again, at their next request, that left out items unknown to the catalogue."""
        for position in self._incomplete:
            self._summed.pop(position, None)
            self._partition_counts.pop(position, None)
        self._incomplete.clear()

    def let_go(self, position: int) -> None:
        """Drop the covisits of the item at a position; ``forget_sums`` drops it from those of all others."""
        self._counters.pop(position, None)
        self._partition_counts.pop(position, None)
        self._summed.pop(position, None)
        self._incomplete.discard(position)

    def forget_sums(self) -> None:
        """Sum all covisits again, at their next request: some items were let go."""
        self._summed.clear()
        self._partition_counts.clear()
        self._incomplete.clear()

    def _read_counters(self, position: int, counters: C) -> _PartitionCounts[C]:
        counts = self._read_counts(counters)
        items, visits = _columns(self._catalogue, counts)
        if items.size < len(counts):
            self._incomplete.add(position)
        return _PartitionCounts(counters, items, visits)


def by_position(catalogue: Catalogue, counts: Mapping[str, float]) -> CovisitedItems:
    """Counts by item id (log space) as arrays; items unknown to the catalogue are left out."""
    items, logs = _columns(catalogue, counts)
    return CovisitedItems(items, logs, _total(logs))


def _columns(catalogue: Catalogue, counts: Mapping[str, float]) -> tuple[Ints, NDArray[np.float64]]:
    items = catalogue.aligned_positions(counts)
    logs = np.fromiter(counts.values(), np.float64, len(counts))
    known = items >= 0
    return items[known], logs[known]


def _summed(partition_counts: Sequence[_PartitionCounts[C]]) -> CovisitedItems:
    """The sum of the counts of several partitions."""
    items = np.concatenate([_NO_ITEMS, *(counts.items for counts in partition_counts)])
    logs = np.concatenate([_NO_COUNTS, *(counts.visits for counts in partition_counts)])
    if len(partition_counts) > 1 and items.size:
        keys = (items.astype(np.int64) << _INDEX_BITS) | np.arange(items.size)
        keys.sort()
        order = keys & (2**_INDEX_BITS - 1)
        items = items[order]
        begins = changes(items).nonzero()[0]
        items, logs = items[begins], np.logaddexp2.reduceat(logs[order], begins)
    return CovisitedItems(items, logs, _total(logs))


def _total(logs: NDArray[np.float64]) -> float:
    top = float(logs.max(initial=NOTHING))
    return top + float(np.log2(np.exp2(logs - top).sum())) if logs.size else NOTHING
