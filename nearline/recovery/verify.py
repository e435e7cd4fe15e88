"""Folds the log again, in one thread and in memory, and compares every stored value with the result, byte for byte.

It works under traffic. Each signal is compared as of its fence, the stored offset up to which its values are folded. If a
worker commits while the values are read, the fold continues record by record up to the later fence. A stored value is
right if it equals the fold at any offset in between. Of a passivated guest, the checksum of the value is compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from nearline.isolation import IsolatingProcessor
from nearline.passivation.stored import NO_GUESTS, StoredGuests, read_buckets
from nearline.processor import SIGNALS, processor_for
from nearline.recovery.in_memory_store import InMemorySignalStore
from schemas.errors import StoreUnavailable, ValueCorrupt
from schemas.keys import Signal
from schemas.log import topics
from schemas.log.fence import Fence
from schemas.log.records import Record
from schemas.ports import LogReader, SignalStore
from schemas.values.passivated import is_bucket_key
from signals import user_codec

_BATCH: Final = 1_000
_ATTEMPTS: Final = 3
_NAMED: Final = 10
"""Limit of differing keys that a report names."""


class SignalCheck(NamedTuple):
    """One signal of one partition: its fence, its number of values, and the keys that differ from the fold."""

    topic: str
    partition: int
    signal: str
    fence: Fence | None
    values: int
    digest: str
    """BLAKE2b over all stored keys and values, in order of their keys."""
    differing: tuple[str, ...]
    differences: int
    problem: str | None = None
    """Why the signal could not be compared; None if it was."""
    passivated: int = 0
    """Number of passivated guests, whose values are not stored."""

    @property
    def equal(self) -> bool:
        """True if every value was compared and is right."""
        return not self.differences and self.problem is None


class VerifyReport(NamedTuple):
    """The checks of all signals."""

    checks: tuple[SignalCheck, ...]

    @property
    def equal(self) -> bool:
        """True if every value of every signal equals the fold's."""
        return all(check.equal for check in self.checks)

    @property
    def values(self) -> int:
        """Number of values compared."""
        return sum(check.values for check in self.checks)

    @property
    def passivated(self) -> int:
        """Number of passivated guests, of whom checksums were compared."""
        return sum(check.passivated for check in self.checks)


class StoredSignal(NamedTuple):
    """A signal's stored values, with the fences before and after they were read."""

    signal: str
    before: Fence | None
    after: Fence | None
    values: dict[str, bytes]
    unreadable: str | None = None
    """Why the fence or all values cannot be read; None if they can."""
    guests: StoredGuests = NO_GUESTS

    def first(self) -> int:
        """Returns the offset up to which every value was folded."""
        return self.before.offset if self.before else -1

    def last(self) -> int:
        """Returns the offset up to which a value may have been folded."""
        return self.after.offset if self.after else -1


def verify(reader: LogReader, store: SignalStore, facts: Iterable[str] = topics.FACTS) -> VerifyReport:
    """Compare every signal of these topics with a fold of the log from its first offset.

    If retention has removed records, the partition cannot be compared, and the report says so. Raises LogUnavailable,
    StoreUnavailable.
    """
    checks: list[SignalCheck] = []
    for topic in facts:
        log_id = reader.log_id(topic)
        for partition in range(reader.partitions(topic)):
            stored = read_stored(store, topic, partition)
            fold = PartitionFold(reader, topic, partition, log_id)
            checks.extend(compare(reader, fold, topic, partition, stored))
    return VerifyReport(tuple(checks))


def read_stored(store: SignalStore, topic: str, partition: int) -> list[StoredSignal]:
    """Returns the stored signals of one partition. Raises StoreUnavailable."""
    return [_read_stored(store, partition, signal) for signal in SIGNALS[topic]]


def compare(
    reader: LogReader, fold: PartitionFold, topic: str, partition: int, stored: Sequence[StoredSignal]
) -> Iterator[SignalCheck]:
    """Yields the comparison of each stored signal with the fold, which goes on to their fences. Raises LogUnavailable."""
    begin, _ = reader.bounds(topic, partition)
    problems = {signal.signal: _problem(signal, fold.log_id, begin) for signal in stored}
    differing_keys = fold.differing([signal for signal in stored if problems[signal.signal] is None])
    for signal in stored:
        differing = sorted(differing_keys.get(signal.signal, ()))
        yield SignalCheck(
            topic,
            partition,
            signal.signal,
            signal.before,
            len(signal.values),
            _digest(signal.values),
            tuple(differing[:_NAMED]),
            len(differing),
            problems[signal.signal],
            signal.guests.number,
        )


def _scan(store: SignalStore, partition: int, signal: str) -> dict[str, bytes]:
    """Returns the stored values; those of users as if they were stored whole, without the buckets of passivated guests."""
    values = dict(store.scan(partition, signal))
    if signal != Signal.USERS:
        return values
    return {key: user_codec.whole(data) for key, data in values.items() if not is_bucket_key(key)}


def _read_stored(store: SignalStore, partition: int, signal: str) -> StoredSignal:
    for _ in range(_ATTEMPTS):
        try:
            before = store.fence(partition, signal)
            buckets = read_buckets(store, partition, signal)
            values = _scan(store, partition, signal)
            guests = StoredGuests(buckets, read_buckets(store, partition, signal))
            after = store.fence(partition, signal)
        except ValueCorrupt as corrupt:
            return StoredSignal(signal, None, None, {}, str(corrupt))
        if before == after or (before and after and before.log_id == after.log_id and before.offset <= after.offset):
            return StoredSignal(signal, before, after, values, guests=guests)
    raise StoreUnavailable(f"partition {partition} of '{signal}' is being rebuilt; verify again in a moment")


def _problem(stored: StoredSignal, log_id: str, begin: int) -> str | None:
    fence = stored.before
    if stored.unreadable is not None:
        return stored.unreadable
    if fence is None:
        return "it has values but no fence" if stored.values else None
    if fence.log_id != log_id:
        return f"it follows another log ({fence.log_id}); a running worker rebuilds it"
    if begin and fence.offset >= 0:
        return f"the log begins at offset {begin}; what came before cannot be folded again"
    return None


def _digest(values: dict[str, bytes]) -> str:
    digest = blake2b(digest_size=16)
    for key in sorted(values):
        for part in (key.encode(), values[key]):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


class PartitionFold:
    """The fold of one partition in memory, up to the offset before ``_next``."""

    def __init__(self, reader: LogReader, topic: str, partition: int, log_id: str) -> None:
        self._reader, self._topic, self._partition, self.log_id = reader, topic, partition, log_id
        self._memory = InMemorySignalStore()
        self._processor = IsolatingProcessor(
            processor_for(topic, partition, log_id, self._memory, _pass_over), _pass_over
        )
        self._next = self._processor.resume()
        self._now = 0.0

    def values(self, signal: str) -> dict[str, bytes]:
        """Returns the values of a signal as of now."""
        return dict(self._memory.scan(self._partition, signal))

    def fold_through(self, offset: int) -> None:
        """Fold all records up to this offset."""
        self._fold_through(offset, _BATCH)

    def differing(self, signals: Iterable[StoredSignal]) -> dict[str, set[str]]:
        """Returns, for each signal, the keys whose stored value equals the fold at no offset between its two fences."""
        waiting = sorted((stored for stored in signals if stored.before is not None), key=StoredSignal.first)
        wrong: dict[str, set[str]] = {}
        begun: list[StoredSignal] = []
        while True:
            while waiting and waiting[0].first() < self._next:
                begun.append(waiting.pop(0))
                wrong[begun[-1].signal] = self._keys(begun[-1])
            for stored in begun:
                if self._next - 1 <= stored.last():
                    wrong[stored.signal] = self._compare(stored, wrong[stored.signal])
            if any(wrong[stored.signal] and self._next <= stored.last() for stored in begun):
                self._fold_through(self._next, 1)
            elif waiting:
                self._fold_through(waiting[0].first(), _BATCH)
            else:
                return wrong

    def _keys(self, stored: StoredSignal) -> set[str]:
        return stored.values.keys() | {key for key, _ in self._memory.scan(self._partition, stored.signal)}

    def _compare(self, stored: StoredSignal, keys: Iterable[str]) -> set[str]:
        wanted = list(keys)
        folded = self._memory.load(self._partition, stored.signal, wanted)
        return {key for key, value in zip(wanted, folded, strict=True) if not _is_right(stored, key, value)}

    def _fold_through(self, offset: int, batch: int) -> None:
        while self._next <= offset:
            records = self._reader.read(self._topic, self._partition, self._next, min(batch, offset + 1 - self._next))
            within = [record for record in records if record.offset <= offset]
            # Enough time between batches to make every commit due.
            self._now += 60.0
            again = self._processor.process(within, self._now)
            self._next = again if again is not None else records[-1].offset + 1 if records else offset + 1


def _is_right(stored: StoredSignal, key: str, value: bytes | None) -> bool:
    """True if the stored value of this key is ``value``, or was let go."""
    found = stored.values.get(key)
    return found == value or (found is None and stored.guests.holds(key, value))


def _pass_over(record: Record, reason: str) -> None:
    """Do nothing, because the worker wrote the dead letter when it first read the record."""
