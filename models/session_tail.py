"""The session tail: a session kNN index of the newest sessions that changes with every event.

It is queried together with a trained ``SessionKnn``.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.session_knn import Sessions
from models.structures.arrays import Doubles, Ints, Longs
from models.structures.sparse import row_positions
from schemas.errors import ConfigurationInvalid


class SessionTail:
    """The last ended sessions in memory, at most ``capacity``, independent of the order of their arrival.

    Items are positions in the numbering of the ``SessionKnn``, which may continue with new items. A session name has at
    most 8 bytes. Of sessions with equal end times, the one with the higher name is newer. ``put`` must not run during a
    read of another thread.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        if capacity < 1:
            raise ConfigurationInvalid("the tail of sessions must hold at least one")
        self._numbers: dict[bytes, int] = {}
        self._oldest_first: list[tuple[float, bytes]] = []
        # One spare number, so that a session is added before the oldest one is removed.
        self._free = list(range(capacity, -1, -1))
        self._times = np.zeros(capacity + 1)
        self._names = np.zeros(capacity + 1, dtype=np.uint64)
        # One row for each session, as wide as the longest one, so that many sessions are read by one index operation.
        self._items: Ints = np.empty((capacity + 1, 8), dtype=np.int32)
        self._lengths = np.zeros(capacity + 1, dtype=np.int64)
        self._postings: dict[int, array[int]] = {}
        self._posting_positions: list[dict[int, int]] = [{} for _ in range(capacity + 1)]
        """For each session number and item of the session, the position of the session in the item's postings."""

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, session: bytes) -> bool:
        return session in self._numbers

    def put(self, session: bytes, items: Sequence[int], at: float) -> bytes | None:
        """Replaces a session's items, oldest first. ``at`` is the time of its last activity.

        A session without items is removed. Returns the session that was evicted for this one, if any.
        """
        if not items:
            self._forget(session)
            return None
        distinct = list(dict.fromkeys(reversed(items)))[::-1]
        number = self._number(session)
        self._keep(number, distinct)
        self._times[number] = at
        insort(self._oldest_first, (at, session))
        self._post(number, distinct)
        if self._free:
            return None
        gone = self._oldest_first[0][1]
        self._forget(gone)
        return gone

    def without(self, session: bytes) -> Sessions:
        """Returns all sessions except this one, so that a session is not its own neighbour."""
        number = self._numbers.get(session)
        return self if number is None else _Others(self, number)

    def frequency(self, item: int) -> int:
        """See ``Sessions``."""
        return len(self._postings.get(item, ()))

    def holds(self, number: int, item: int) -> bool:
        """True if the session has this item."""
        return item in self._posting_positions[number]

    def holding(self, item: int) -> Ints:
        """See ``Sessions``."""
        return np.array(self._postings.get(item, ()), dtype=np.int32)

    def times_of(self, numbers: Longs) -> Doubles:
        """See ``Sessions``."""
        return self._times[numbers]

    def newest(self, numbers: Longs, most: int) -> Longs:
        """See ``Sessions``."""
        times = self._times[numbers]
        first = np.partition(times, -most)[-most] if most < times.size else -np.inf
        late = np.flatnonzero(times >= first)
        newest_last = np.lexsort((self._names[numbers[late]], times[late]))
        return late[newest_last[-most:]]

    def items_of(self, numbers: Longs) -> tuple[Longs, Ints]:
        """See ``Sessions``."""
        lengths = self._lengths[numbers]
        return lengths, self._items.ravel()[row_positions(numbers * self._items.shape[1], lengths)]

    def _keep(self, number: int, items: Sequence[int]) -> None:
        """Stores a session's items, and widens the rows if needed."""
        missing = len(items) - self._items.shape[1]
        if missing > 0:
            missing = max(missing, self._items.shape[1])
            self._items = np.pad(self._items, ((0, 0), (0, missing)))
        self._items[number, : len(items)] = items
        self._lengths[number] = len(items)

    def _number(self, session: bytes) -> int:
        """Returns the session's number, new or existing, and removes it from the time order."""
        known = self._numbers.get(session)
        if known is not None:
            self._leave(session, known)
            return known
        number = self._numbers[session] = self._free.pop()
        self._names[number] = int.from_bytes(session, "big")
        return number

    def _leave(self, session: bytes, number: int) -> None:
        del self._oldest_first[bisect_left(self._oldest_first, (float(self._times[number]), session))]

    def _forget(self, session: bytes) -> None:
        number = self._numbers.pop(session, None)
        if number is not None:
            self._leave(session, number)
            self._post(number, ())
            self._free.append(number)

    def _post(self, number: int, items: Sequence[int]) -> None:
        """Updates postings so that exactly these items have the session."""
        held = self._posting_positions[number]
        for item in held.keys() - set(items):
            self._unpost(item, number)
        for item in items:
            if item not in held:
                postings = self._postings.setdefault(item, array("i"))
                held[item] = len(postings)
                postings.append(number)

    def _unpost(self, item: int, number: int) -> None:
        """Removes the session from an item's postings. The last posting moves to its position."""
        postings, position = self._postings[item], self._posting_positions[number].pop(item)
        last = postings.pop()
        if last != number:
            postings[position] = last
            self._posting_positions[last][item] = position
        if not postings:
            del self._postings[item]


@dataclass(frozen=True, eq=False)
class _Others:
    """A tail without one of its sessions."""

    tail: SessionTail
    number: int

    def __len__(self) -> int:
        return len(self.tail) - 1

    def frequency(self, item: int) -> int:
        return self.tail.frequency(item) - self.tail.holds(self.number, item)

    def holding(self, item: int) -> Ints:
        numbers = self.tail.holding(item)
        others: Ints = numbers[numbers != self.number]
        return others

    def times_of(self, numbers: Longs) -> Doubles:
        return self.tail.times_of(numbers)

    def newest(self, numbers: Longs, most: int) -> Longs:
        return self.tail.newest(numbers, most)

    def items_of(self, numbers: Longs) -> tuple[Longs, Ints]:
        return self.tail.items_of(numbers)
