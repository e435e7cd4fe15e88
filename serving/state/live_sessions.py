"""The newest sessions of all users, from the session tails of all partitions; session kNN finds neighbours in them."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Final

from models.session_tail import SessionTail
from serving.state.catalogue import Catalogue
from signals.kinds.tail import TailChunk, TailEntry

SESSIONS: Final = 20_000
"""Maximum number of sessions."""
LONGEST: Final = 64
"""Maximum number of interactions of a session."""
WAITING_VISITS: Final = 20_000
"""Maximum number of visits that wait for their items."""
_offset: Final = attrgetter("offset")


class _LiveSession:
    """A session: its partition, and the ascending offsets, catalogue positions and times of its visits.

    Typed arrays save memory: there may be a million visits.
    """

    __slots__ = ("offsets", "partition", "positions", "times")

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.offsets, self.positions, self.times = array("q"), array("i"), array("d")

    def add(self, offset: int, position: int, at: float) -> None:
        """Add a visit at its place by offset; beyond LONGEST the oldest is dropped."""
        index = bisect_left(self.offsets, offset)
        self.offsets.insert(index, offset)
        self.positions.insert(index, position)
        self.times.insert(index, at)
        if len(self.offsets) > LONGEST:
            self._drop(0)

    def remove(self, offset: int) -> bool:
        """Remove a visit; returns whether it was present."""
        index = bisect_left(self.offsets, offset)
        if index == len(self.offsets) or self.offsets[index] != offset:
            return False
        self._drop(index)
        return True

    def without(self, positions: Container[int]) -> bool:
        """Remove the visits of the items at these positions; returns whether there were any."""
        indices = [index for index, position in enumerate(self.positions) if position in positions]
        for index in reversed(indices):
            self._drop(index)
        return bool(indices)

    def _drop(self, index: int) -> None:
        del self.offsets[index], self.positions[index], self.times[index]


class _WaitingVisits:
    """The visits of items that are not in the catalogue yet, by item; beyond WAITING_VISITS those of one item are let go."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._visits: dict[str, list[tuple[int, TailEntry]]] = {}
        self._count = 0
        self._arrivals = catalogue.arrivals()

    def add(self, partition: int, entry: TailEntry) -> None:
        self._visits.setdefault(entry.item, []).append((partition, entry))
        self._count += 1
        while self._count > WAITING_VISITS:
            self._pop(next(iter(self._visits)))

    def remove(self, partition: int, entry: TailEntry) -> None:
        """Remove a retracted visit."""
        visits = self._pop(entry.item)
        for visit in visits:
            if (visit[0], visit[1].offset) != (partition, entry.offset):
                self.add(*visit)

    def begin_anew(self, partition: int) -> None:
        for item in list(self._visits):
            for visit in self._pop(item):
                if visit[0] != partition:
                    self.add(*visit)

    def entered(self) -> list[tuple[int, TailEntry]]:
        """Returns the visits of the items that have entered the catalogue since the last call."""
        items = list(self._arrivals)
        self._arrivals.clear()
        return [visit for item in items for visit in self._pop(item)]

    def _pop(self, item: str) -> list[tuple[int, TailEntry]]:
        visits = self._visits.pop(item, [])
        self._count -= len(visits)
        return visits


class LiveSessions:
    """Keeps a ``SessionTail`` (by position in the catalogue) up to date with the tails of the partitions.

    ``admits_all``: visits add their items to the catalogue; otherwise visits wait until their items are there.
    """

    def __init__(self, catalogue: Catalogue, capacity: int = SESSIONS, *, admits_all: bool = True) -> None:
        self.tail = SessionTail(capacity)
        self._catalogue, self._capacity = catalogue, capacity
        self._position = catalogue.ensure if admits_all else catalogue.position
        self._waiting = _WaitingVisits(catalogue)
        self._sessions: dict[bytes, _LiveSession] = {}
        self._newest: dict[int, int] = {}
        self._due: set[bytes] = set()

    def begin_anew(self, partition: int) -> None:
        """Drop the sessions of a partition before it is read again completely."""
        self._newest.pop(partition, None)
        for session in [session for session, live in self._sessions.items() if live.partition == partition]:
            del self._sessions[session]
            self._due.discard(session)
            self.tail.put(session, (), 0.0)
        self._waiting.begin_anew(partition)

    def apply_tails(self, tails: Mapping[int, Sequence[TailChunk]]) -> Iterator[None]:
        """Apply changed tail chunks of some partitions; each step handles one chunk or one session.

        Applying the same chunks again changes nothing.
        """
        for partition, entry in self._waiting.entered():
            self._add(partition, entry)
        for partition, chunks in tails.items():
            yield from self._read(partition, chunks)
        ended = {session: max(self._sessions[session].times, default=0.0) for session in self._due}
        oldest_first = sorted(ended, key=lambda session: (ended[session], session))
        for session in oldest_first[: -self._capacity]:
            del self._sessions[session]
        for session in oldest_first[-self._capacity :]:
            self._put(session, ended[session])
            yield
        self._due.clear()

    def let_go(self, positions: Container[int]) -> Iterator[None]:
        """Remove the visits of items that were let go, one session a step."""
        for session, live in list(self._sessions.items()):
            if live.without(positions):
                self._put(session, max(live.times, default=0.0))
            yield

    def _read(self, partition: int, chunks: Sequence[TailChunk]) -> Iterator[None]:
        """Add the entries that were not read before, and remove the retracted ones; one chunk a step."""
        for chunk in sorted(chunks, key=lambda chunk: chunk.chunk):
            for entry in chunk.entries[bisect_right(chunk.entries, self._newest.get(partition, -1), key=_offset) :]:
                self._add(partition, entry)
                self._newest[partition] = entry.offset
            for entry in chunk.gone:
                self._remove(partition, entry)
            yield

    def _remove(self, partition: int, entry: TailEntry) -> None:
        self._waiting.remove(partition, entry)
        live = self._sessions.get(entry.session)
        if live is not None and live.remove(entry.offset):
            self._due.add(entry.session)

    def _add(self, partition: int, entry: TailEntry) -> None:
        position = self._position(entry.item)
        if position is None:
            self._waiting.add(partition, entry)
            return
        live = self._sessions.get(entry.session)
        if live is None:
            live = self._sessions[entry.session] = _LiveSession(partition)
        live.add(entry.offset, position, entry.at)
        self._due.add(entry.session)

    def _put(self, session: bytes, at: float) -> None:
        positions = self._sessions[session].positions
        evicted = self.tail.put(session, positions, at)
        self._due.discard(session)
        if not positions:
            del self._sessions[session]
        # An evicted session that is still due will be put with a newer time.
        if evicted is not None and evicted not in self._due:
            self._sessions.pop(evicted, None)
