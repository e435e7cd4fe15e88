"""The passivated guests of one partition, as its processor needs them.

Every change is part of a commit that moves the fence. So if two processes believe that they keep the partition, the commit of
one of them fails, and it reads everything again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from nearline.passivation.stored import decode_buckets
from schemas.values.passivated import ALL_BUCKETS, Bucket, bucket_key, encode_bucket
from signals import users

if TYPE_CHECKING:
    from nearline.signal_state import SignalState

MAX_IDLE: Final = 10_000
"""Limit of idle guests that wait for a commit. At this number no more are looked for."""
COMMIT_VALUES: Final = 500
"""Number of values at which a commit lets no further bucket go."""
COMMIT_BYTES: Final = 262_144
"""Size of the buckets at which a commit lets no further bucket go."""


class ReturnedGuest(NamedTuple):
    """What is known of a passivated guest who has returned."""

    end: int
    """The value contains all records of the guest before this offset."""
    checksum: bytes
    """Checksum of the value when it was let go."""


class GuestsReturned(Exception):
    """An event of a passivated guest is to be applied. Nothing was applied; the values must be folded first."""

    def __init__(self, guests: Mapping[str, ReturnedGuest]) -> None:
        super().__init__(f"{len(guests)} passivated guests have returned")
        self.guests = guests


class PassivatedGuests:
    """Knows who is passivated, and who will be with the next commits. For the worker's thread."""

    def __init__(self, partition: int, state: SignalState[users.UserValue], committed: Callable[[], int]) -> None:
        """``committed`` returns the offset up to which every signal of the topic is committed."""
        self._partition, self._state, self._committed = partition, state, committed
        self.openings = 0
        """Number of times that the memory was dropped."""
        self._buckets: dict[str, Bucket] = {}
        self._idle: dict[str, dict[str, bytes]] = {}
        """By bucket: the idle guests, each with the checksum of its value."""
        self._marked: set[str] = set()
        self._before = 0
        self._restored: dict[str, users.UserValue] = {}

    @property
    def end(self) -> int:
        """The offset before which everything is committed."""
        return self._committed() + 1

    @property
    def idle(self) -> int:
        """Number of idle guests that wait for a commit."""
        return len(self._marked)

    def open(self) -> None:
        """Drop the memory. The buckets are read again when they are needed."""
        self.openings += 1
        for memory in (self._buckets, self._idle, self._marked, self._restored):
            memory.clear()

    def mark_idle(self, key: str, checksum: bytes, before: int) -> None:
        """Let the value of this guest go with one of the next commits, unless an event of the guest comes first.

        ``before`` is greater than the offsets of all records of the guest.
        """
        self._idle.setdefault(bucket_key(key), {})[key] = checksum
        self._marked.add(key)
        self._before = max(self._before, before)

    def restore(self, values: Mapping[str, users.UserValue]) -> None:
        """Take the values that were folded for guests who have returned. ``activate`` needs them next."""
        self._restored.update(values)

    def activate(self, keys: Collection[str]) -> None:
        """Put the values of returned guests into memory, before their events are applied. All values of these keys are there.

        Raises GuestsReturned if values must be folded first, ValueCorrupt.
        """
        for key in self._marked.intersection(keys):
            self._marked.discard(key)
            self._idle[bucket_key(key)].pop(key)
        returned = self._returned([key for key in keys if self._state[key] is users.EMPTY])
        missing = {key: guest for key, guest in returned.items() if key not in self._restored}
        if missing:
            raise GuestsReturned(missing)
        for key in returned:
            self._state.put(key, self._restored.pop(key))
            self._write(bucket_key(key), self._bucket(bucket_key(key)).removed([key]))

    def stage(self) -> int:
        """Let the next commit remove the values of some idle guests, and note who they are. Returns their number."""
        count = size = 0
        while self._idle and count < COMMIT_VALUES and size < COMMIT_BYTES:
            name, checksums = self._idle.popitem()
            if not checksums:
                continue
            bucket = self._bucket(name).added(checksums, self._before)
            self._state.stage(dict.fromkeys(checksums))
            self._write(name, bucket)
            self._marked.difference_update(checksums)
            count, size = count + len(checksums), size + len(bucket.entries)
        return count

    def _returned(self, keys: Collection[str]) -> dict[str, ReturnedGuest]:
        """Returns those of these guests that are passivated."""
        returned: dict[str, ReturnedGuest] = {}
        for key in keys:
            bucket = self._bucket(bucket_key(key))
            if (checksum := bucket.checksum(key)) is not None:
                returned[key] = ReturnedGuest(bucket.before, checksum)
        return returned

    def _bucket(self, name: str) -> Bucket:
        if not self._buckets:
            self._buckets = decode_buckets(self._partition, self._state.load(ALL_BUCKETS))
        return self._buckets[name]

    def _write(self, name: str, bucket: Bucket) -> None:
        self._buckets[name] = bucket
        self._state.stage({name: encode_bucket(bucket)})
