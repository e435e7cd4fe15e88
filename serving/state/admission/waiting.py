"""Which ids without item data enter the catalogue: those that enough different people were at.

A catalogue position costs memory in every process. So an id that only events name waits here
first, with its counters as they were read. It enters once its people are enough, an import named it, its item data
comes, or a model brings it. What waits is bounded in bytes: the id that was not heard of for longest is let go. Its
counters are read again when they change.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from serving import metrics
from serving.state.catalogue import Catalogue
from signals.kinds import popularity
from signals.kinds.people import PeopleCounters

_POPULARITY: Final = popularity.KIND.key("")
_ID_BYTES: Final = 400
_CELL_BYTES: Final = 200
"""About what an id and a cell take in memory beside their texts and bytes."""


class Cell(NamedTuple):
    """Counters as the store keeps them, of one partition."""

    partition: int
    key: str
    data: bytes


@dataclass
class _WaitingId:
    """An id that waits: the number of its people by partition, and its cells by partition and key."""

    people: dict[int, int] = field(default_factory=dict)
    cells: dict[tuple[int, str], bytes] = field(default_factory=dict)
    size: int = 0


class Admission:
    """Holds the counters of ids that are not in the catalogue yet. With ``admit_after`` 1 it holds nothing."""

    def __init__(self, catalogue: Catalogue, admit_after: int, limit_bytes: int) -> None:
        self._catalogue, self._admit_after, self._limit = catalogue, admit_after, limit_bytes
        self._waiting: OrderedDict[str, _WaitingId] = OrderedDict()
        self._size = 0
        self._arrivals = catalogue.arrivals()

    @property
    def open(self) -> bool:
        """True if every id enters at once."""
        return self._admit_after <= 1

    def __len__(self) -> int:
        return len(self._waiting)

    def begin_anew(self, partition: int) -> None:
        """Drop what waits of a partition before it is read again completely."""
        for waiting in self._waiting.values():
            waiting.people.pop(partition, None)
            for key in [key for key in waiting.cells if key[0] == partition]:
                self._resize(waiting, -_size_of(key[1], waiting.cells.pop(key)))

    def count(self, partition: int, item_id: str, counters: PeopleCounters) -> None:
        """Take the people of an id in a partition; the id enters the catalogue where they are enough."""
        if self._catalogue.position(item_id) is None:
            self._count(item_id, self._waiting_id(item_id), partition, counters.count)

    def admit(self, item_id: str) -> None:
        """Let an id enter whose people were never counted."""
        self._catalogue.ensure(item_id)

    def holds(self, item_id: str, cell: Cell) -> bool:
        """True if the id has to wait: its cell is kept here, and ``released`` gives it once the id has entered."""
        if self.open or self._catalogue.position(item_id) is not None:
            return False
        waiting = self._waiting_id(item_id)
        if cell.key.startswith(_POPULARITY) and cell.partition not in waiting.people:
            # The people of this partition were let go. At least one was there.
            self._count(item_id, waiting, cell.partition, 1)
        self._keep(waiting, cell)
        return True

    def released(self) -> Iterator[Cell]:
        """Yields the cells of the ids that have entered the catalogue since the last call."""
        while self._arrivals:
            item_id = self._arrivals.popleft()
            if (waiting := self._waiting.pop(item_id, None)) is not None:
                self._size -= waiting.size
                for (partition, key), data in waiting.cells.items():
                    yield Cell(partition, key, data)
        metrics.WAITING_ITEMS.set(len(self._waiting))

    def _count(self, item_id: str, waiting: _WaitingId, partition: int, count: int) -> None:
        waiting.people[partition] = count
        if sum(waiting.people.values()) >= self._admit_after:
            self._catalogue.ensure(item_id)

    def _waiting_id(self, item_id: str) -> _WaitingId:
        waiting = self._waiting.get(item_id)
        if waiting is None:
            waiting = self._waiting[item_id] = _WaitingId()
            self._resize(waiting, _ID_BYTES + len(item_id))
            self._let_go()
        self._waiting.move_to_end(item_id)
        return waiting

    def _keep(self, waiting: _WaitingId, cell: Cell) -> None:
        place = (cell.partition, cell.key)
        if (former := waiting.cells.get(place)) is not None:
            self._resize(waiting, -_size_of(cell.key, former))
        waiting.cells[place] = cell.data
        self._resize(waiting, _size_of(cell.key, cell.data))
        self._let_go()

    def _resize(self, waiting: _WaitingId, size: int) -> None:
        waiting.size += size
        self._size += size

    def _let_go(self) -> None:
        while self._size > self._limit and len(self._waiting) > 1:
            _, waiting = self._waiting.popitem(last=False)
            self._size -= waiting.size


def _size_of(key: str, data: bytes) -> int:
    return _CELL_BYTES + len(key) + len(data)
