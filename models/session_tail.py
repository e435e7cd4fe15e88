"""The sessions of this minute: an index of session neighbours that changes with every event.

Beside the ``SessionKnn`` of last night, asked with it as if they were one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.session_knn import Places, Sessions
from models.structures.arrays import Doubles, Ints
from models.structures.sparse import places
from schemas.errors import ConfigurationInvalid


class SessionTail:
    """The sessions that ended last, in memory: at most ``capacity`` of them, whatever the order in which they came.

    It stands beside a ``SessionKnn`` as another index; its items are positions of the same numbering, or of one that
    goes on with items that the index has not met. A session is named by at most 8 bytes; of sessions that ended at once
    the one with the higher name is the newer one. A put must not run beside a reading in another thread.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        if capacity < 1:
            raise ConfigurationInvalid("the tail of sessions must hold at least one")
        self._numbers: dict[bytes, int] = {}
        self._oldest_first: list[tuple[float, bytes]] = []
        # One number to spare, so that a session can be put before it is known which one has to go.
        self._free = list(range(capacity, -1, -1))
        self._times = np.zeros(capacity + 1)
        self._names = np.zeros(capacity + 1, dtype=np.uint64)
        # A row a session, as wide as the longest needs, so that many sessions' items are one gather.
        self._items: Ints = np.empty((capacity + 1, 8), dtype=np.int32)
        self._lengths = np.zeros(capacity + 1, dtype=np.int64)
        self._postings: dict[int, array[int]] = {}
        self._places: list[dict[int, int]] = [{} for _ in range(capacity + 1)]
        """By session, where it stands in the postings of each of its items."""

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, session: bytes) -> bool:
        return session in self._numbers

    def put(self, session: bytes, items: Sequence[int], at: float) -> bytes | None:
        """A session's items so far, oldest first, in place of what was known of it; ``at`` is when it was last active.

        One without items is forgotten. Gives the session that had to go for this one, if any had to.
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
        """All sessions but this one: nobody is their own neighbour."""
        number = self._numbers.get(session)
        return self if number is None else _Others(self, number)

    def frequency(self, item: int) -> int:
        """See ``Sessions``."""
        return len(self._postings.get(item, ()))

    def holds(self, number: int, item: int) -> bool:
        """Whether a session has this item."""
        return item in self._places[number]

    def holding(self, item: int) -> Ints:
        """See ``Sessions``."""
        return np.array(self._postings.get(item, ()), dtype=np.int32)

    def times_of(self, numbers: Places) -> Doubles:
        """See ``Sessions``."""
        return self._times[numbers]

    def newest(self, numbers: Places, most: int) -> Places:
        """See ``Sessions``."""
        times = self._times[numbers]
        first = np.partition(times, -most)[-most] if most < times.size else -np.inf
        late = np.flatnonzero(times >= first)
        newest_last = np.lexsort((self._names[numbers[late]], times[late]))
        return late[newest_last[-most:]]

    def items_of(self, numbers: Places) -> tuple[Places, Ints]:
        """See ``Sessions``."""
        lengths = self._lengths[numbers]
        return lengths, self._items.ravel()[places(numbers * self._items.shape[1], lengths)]

    def _keep(self, number: int, items: Sequence[int]) -> None:
        """Keep a session's items, in wider rows where they are more than those of any before."""
        missing = len(items) - self._items.shape[1]
        if missing > 0:
            missing = max(missing, self._items.shape[1])
            self._items = np.pad(self._items, ((0, 0), (0, missing)))
        self._items[number, : len(items)] = items
        self._lengths[number] = len(items)

    def _number(self, session: bytes) -> int:
        """The session's number, a new one where it has none; its old place in the order is given up."""
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
        """Let exactly these items' postings hold the session."""
        held = self._places[number]
        for item in held.keys() - set(items):
            self._unpost(item, number)
        for item in items:
            if item not in held:
                postings = self._postings.setdefault(item, array("i"))
                held[item] = len(postings)
                postings.append(number)

    def _unpost(self, item: int, number: int) -> None:
        """Take the session out of an item's postings; the last one moves to its place."""
        postings, place = self._postings[item], self._places[number].pop(item)
        last = postings.pop()
        if last != number:
            postings[place] = last
            self._places[last][item] = place
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
        found = self.tail.holding(item)
        others: Ints = found[found != self.number]
        return others

    def times_of(self, numbers: Places) -> Doubles:
        return self.tail.times_of(numbers)

    def newest(self, numbers: Places, most: int) -> Places:
        return self.tail.newest(numbers, most)

    def items_of(self, numbers: Places) -> tuple[Places, Ints]:
        return self.tail.items_of(numbers)
