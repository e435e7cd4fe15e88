"""Folds the log again, in one thread and in memory, and compares every stored value with the result, byte for byte.

It works under traffic. Each signal is compared as of its fence, the stored offset up to which its values are folded. If a
worker commits while the values are read, the fold continues record by record up to the later fence. A stored value is
right if it equals the fold at any offset in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Final, NamedTuple

from nearline.in_memory_store import InMemorySignalStore
from nearline.isolation import IsolatingProcessor
from nearline.processor import SIGNALS, processor_for
from schemas.errors import StoreUnavailable
from schemas.log import topics
from schemas.log.fence import Fence
from schemas.log.records import Record
from schemas.ports import LogReader, SignalStore

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


class _Snapshot(NamedTuple):
    """A signal's stored values, with the fences before and after they were read."""

    signal: str
    before: Fence | None
    after: Fence | None
    values: dict[str, bytes]

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
            checks.extend(_verify_partition(reader, store, topic, partition, log_id))
    return VerifyReport(tuple(checks))


def _verify_partition(
    reader: LogReader, store: SignalStore, topic: str, partition: int, log_id: str
) -> Iterator[SignalCheck]:
    snapshots = [_snapshot(store, partition, signal) for signal in SIGNALS[topic]]
    begin, _ = reader.bounds(topic, partition)
    problems = {snapshot.signal: _problem(snapshot, log_id, begin) for snapshot in snapshots}
    fold = _Fold(reader, topic, partition, log_id)
    differing_keys = fold.differing([snapshot for snapshot in snapshots if problems[snapshot.signal] is None])
    for snapshot in snapshots:
        differing = sorted(differing_keys.get(snapshot.signal, ()))
        yield SignalCheck(
            topic,
            partition,
            snapshot.signal,
            snapshot.before,
            len(snapshot.values),
            _digest(snapshot.values),
            tuple(differing[:_NAMED]),
            len(differing),
            problems[snapshot.signal],
        )


def _snapshot(store: SignalStore, partition: int, signal: str) -> _Snapshot:
    for _ in range(_ATTEMPTS):
        before = store.fence(partition, signal)
        values = dict(store.scan(partition, signal))
        after = store.fence(partition, signal)
        if before == after or (before and after and before.log_id == after.log_id and before.offset <= after.offset):
            return _Snapshot(signal, before, after, values)
    raise StoreUnavailable(f"partition {partition} of '{signal}' is being rebuilt; verify again in a moment")


def _problem(snapshot: _Snapshot, log_id: str, begin: int) -> str | None:
    fence = snapshot.before
    if fence is None:
        return "it has values but no fence" if snapshot.values else None
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


class _Fold:
    """The fold of one partition in memory, up to the offset before ``_next``."""

    def __init__(self, reader: LogReader, topic: str, partition: int, log_id: str) -> None:
        self._reader, self._topic, self._partition = reader, topic, partition
        self._memory = InMemorySignalStore()
        self._processor = IsolatingProcessor(
            processor_for(topic, partition, log_id, self._memory, _pass_over), _pass_over
        )
        self._next = self._processor.resume()
        self._now = 0.0

    def differing(self, snapshots: Iterable[_Snapshot]) -> dict[str, set[str]]:
        """Returns, for each signal, the keys whose stored value equals the fold at no offset between its two fences."""
        waiting = sorted((snapshot for snapshot in snapshots if snapshot.before is not None), key=_Snapshot.first)
        wrong: dict[str, set[str]] = {}
        begun: list[_Snapshot] = []
        while True:
            while waiting and waiting[0].first() < self._next:
                begun.append(waiting.pop(0))
                wrong[begun[-1].signal] = self._keys(begun[-1])
            for snapshot in begun:
                if self._next - 1 <= snapshot.last():
                    wrong[snapshot.signal] = self._compare(snapshot, wrong[snapshot.signal])
            if any(wrong[snapshot.signal] and self._next <= snapshot.last() for snapshot in begun):
                self._fold_through(self._next, 1)
            elif waiting:
                self._fold_through(waiting[0].first(), _BATCH)
            else:
                return wrong

    def _keys(self, snapshot: _Snapshot) -> set[str]:
        return snapshot.values.keys() | {key for key, _ in self._memory.scan(self._partition, snapshot.signal)}

    def _compare(self, snapshot: _Snapshot, keys: Iterable[str]) -> set[str]:
        wanted = list(keys)
        folded = self._memory.load(self._partition, snapshot.signal, wanted)
        return {key for key, value in zip(wanted, folded, strict=True) if snapshot.values.get(key) != value}

    def _fold_through(self, offset: int, batch: int) -> None:
        while self._next <= offset:
            records = self._reader.read(self._topic, self._partition, self._next, min(batch, offset + 1 - self._next))
            within = [record for record in records if record.offset <= offset]
            # Enough time between batches to make every commit due.
            self._now += 60.0
            again = self._processor.process(within, self._now)
            self._next = again if again is not None else records[-1].offset + 1 if records else offset + 1


def _pass_over(record: Record, reason: str) -> None:
    """Do nothing, because the worker wrote the dead letter when it first read the record."""
