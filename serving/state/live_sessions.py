"""The newest sessions of all users, from the session tails of all partitions; session kNN finds neighbours in them."""

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
"""Maximum number of sessions."""
LONGEST: Final = 64
"""Maximum number of interactions of a session."""
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
        """Add a visit; beyond LONGEST the oldest is dropped."""
        self.offsets.append(offset)
        self.positions.append(position)
        self.times.append(at)
        if len(self.offsets) > LONGEST:
            self._drop(0)

    def remove(self, offset: int) -> bool:
        """Remove a visit; returns whether it was present."""
        index = bisect_left(self.offsets, offset)
        if index == len(self.offsets) or self.offsets[index] != offset:
            return False
        self._drop(index)
        return True

    def _drop(self, index: int) -> None:
        del self.offsets[index], self.positions[index], self.times[index]


class LiveSessions:
    """Keeps a ``SessionTail`` (by position in the catalogue) up to date with the tails of the partitions."""

    def __init__(self, catalogue: Catalogue, capacity: int = SESSIONS) -> None:
        self.tail = SessionTail(capacity)
        self._catalogue, self._capacity = catalogue, capacity
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

    def apply_tails(self, tails: Mapping[int, Sequence[TailChunk]]) -> Iterator[None]:
        """Apply changed tail chunks of some partitions; each step handles one chunk or one session.

        Applying the same chunks again changes nothing.
        """
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

    def _read(self, partition: int, chunks: Sequence[TailChunk]) -> Iterator[None]:
        """Add the entries that were not read before, and remove the retracted ones; one chunk a step."""
        for chunk in sorted(chunks, key=lambda chunk: chunk.chunk):
            for entry in chunk.entries[bisect_right(chunk.entries, self._newest.get(partition, -1), key=_offset) :]:
                self._add(partition, entry)
                self._newest[partition] = entry.offset
            for entry in chunk.gone:
                live = self._sessions.get(entry.session)
                if live is not None and live.remove(entry.offset):
                    self._due.add(entry.session)
            yield

    def _add(self, partition: int, entry: TailEntry) -> None:
        live = self._sessions.get(entry.session)
        if live is None:
            live = self._sessions[entry.session] = _LiveSession(partition)
        live.add(entry.offset, self._catalogue.ensure(entry.item), entry.at)
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
