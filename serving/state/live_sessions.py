"""The newest sessions of everybody, from the tails of all partitions: what session neighbours are found among."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Final

from models.session_tail import SessionTail
from serving.state.catalogue import Catalogue
from signals.tail import TailChunk, TailEntry

SESSIONS: Final = 20_000
"""Sessions kept."""
LONGEST: Final = 64
"""Interactions kept a session."""
_offset: Final = attrgetter("offset")


class _Live:
    """A session: its partition, and its visits' offsets, ascending, positions in the catalogue and times.

    Columns of numbers, for there may be a million visits.
    """

    __slots__ = ("offsets", "partition", "positions", "times")

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.offsets, self.positions, self.times = array("q"), array("i"), array("d")

    def add(self, offset: int, position: int, at: float) -> None:
        """Add a visit; the oldest goes where they would be too many."""
        self.offsets.append(offset)
        self.positions.append(position)
        self.times.append(at)
        if len(self.offsets) > LONGEST:
            self._drop(0)

    def remove(self, offset: int) -> bool:
        """Remove a visit; whether it was there."""
        place = bisect_left(self.offsets, offset)
        if place == len(self.offsets) or self.offsets[place] != offset:
            return False
        self._drop(place)
        return True

    def _drop(self, place: int) -> None:
        del self.offsets[place], self.positions[place], self.times[place]


class LiveSessions:
    """Keeps a ``SessionTail`` (by position in the catalogue) as the tails of the partitions have it."""

    def __init__(self, catalogue: Catalogue, capacity: int = SESSIONS) -> None:
        self.tail = SessionTail(capacity)
        self._catalogue, self._capacity = catalogue, capacity
        self._live: dict[bytes, _Live] = {}
        self._newest: dict[int, int] = {}
        self._due: set[bytes] = set()

    def begin_anew(self, partition: int) -> None:
        """Forget a partition's sessions, which are about to be read whole."""
        self._newest.pop(partition, None)
        for session in [session for session, live in self._live.items() if live.partition == partition]:
            del self._live[session]
            self._due.discard(session)
            self.tail.put(session, (), 0.0)

    def follow(self, tails: Mapping[int, Sequence[TailChunk]]) -> Iterator[None]:
        """Take over changed tail cells of some partitions, a cell or a session a step.

        The same cells again change nothing.
        """
        for partition, cells in tails.items():
            yield from self._read(partition, cells)
        ended = {session: max(self._live[session].times, default=0.0) for session in self._due}
        oldest_first = sorted(ended, key=lambda each: (ended[each], each))
        for session in oldest_first[: -self._capacity]:
            del self._live[session]
        for session in oldest_first[-self._capacity :]:
            self._put(session, ended[session])
            yield
        self._due.clear()

    def _read(self, partition: int, cells: Sequence[TailChunk]) -> Iterator[None]:
        """Add what is newer than what was read before, and remove what was taken back; one cell a step."""
        for cell in sorted(cells, key=lambda cell: cell.chunk):
            for entry in cell.entries[bisect_right(cell.entries, self._newest.get(partition, -1), key=_offset) :]:
                self._add(partition, entry)
                self._newest[partition] = entry.offset
            for entry in cell.gone:
                live = self._live.get(entry.session)
                if live is not None and live.remove(entry.offset):
                    self._due.add(entry.session)
            yield

    def _add(self, partition: int, entry: TailEntry) -> None:
        live = self._live.get(entry.session)
        if live is None:
            live = self._live[entry.session] = _Live(partition)
        live.add(entry.offset, self._catalogue.ensure(entry.item), entry.at)
        self._due.add(entry.session)

    def _put(self, session: bytes, at: float) -> None:
        positions = self._live[session].positions
        gone = self.tail.put(session, positions, at)
        self._due.discard(session)
        if not positions:
            del self._live[session]
        # One that has to go for now may be about to be put with a newer time.
        if gone is not None and gone not in self._due:
            self._live.pop(gone, None)
