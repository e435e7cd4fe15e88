"""Folds the aggregates of a partition again, because records of an erased person are gone from the log.

Most of it happens beside the worker, in memory. The end happens on the worker's thread, between two polls: the last few
records are folded, the values that differ are written at the fence where they belong, and the worker reads them again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from nearline.isolation import IsolatingProcessor
from nearline.processor import processor_for
from nearline.recovery.archive_reader import ArchiveReader
from nearline.recovery.in_memory_store import InMemorySignalStore
from schemas.errors import StoreUnavailable
from schemas.keys import Signal
from schemas.log import topics
from schemas.log.records import Record
from schemas.ports import LogReader, SignalStore

BATCH: Final = 1_000
NEAR: Final = 500
"""Number of records that the worker's thread folds at most."""
_ROUNDS: Final = 50


class Refolding:
    """The fold of one partition's events in memory; ``reader`` and ``store`` are connections of its own."""

    def __init__(self, partition: int, reader: LogReader, archive: ArchiveReader, store: SignalStore) -> None:
        self._partition, self._reader, self._archive, self._store = partition, reader, archive, store
        self._log_id = reader.log_id(topics.EVENTS)
        self._memory = InMemorySignalStore()
        self._processor = IsolatingProcessor(
            processor_for(topics.EVENTS, partition, self._log_id, self._memory, _leave_out), _leave_out
        )
        self._next = self._processor.resume()
        self._now = 0.0

    def approach(self) -> bool:
        """Folds until few records are left before the fence. False if the aggregates have no fence of this log."""
        for _ in range(_ROUNDS):
            fence = self._store.fence(self._partition, Signal.AGGREGATES)
            if fence is None or fence.log_id != self._log_id:
                return False
            if fence.offset + 1 - self._next <= NEAR:
                return True
            self._fold_through(fence.offset)
        raise StoreUnavailable(f"partition {self._partition} takes records faster than they are folded again")

    def finish(self) -> int:
        """Folds the last records and writes what differs; returns the number of values. For the worker's thread.

        Raises FenceMoved if another process commits.
        """
        fence = self._store.fence(self._partition, Signal.AGGREGATES)
        if fence is None or fence.log_id != self._log_id:
            return 0
        self._fold_through(fence.offset)
        folded = dict(self._memory.scan(self._partition, Signal.AGGREGATES))
        stored = dict(self._store.scan(self._partition, Signal.AGGREGATES))
        changed: dict[str, bytes | None] = {key: value for key, value in folded.items() if stored.get(key) != value}
        changed.update(dict.fromkeys(stored.keys() - folded.keys()))
        if changed:
            self._store.commit(self._partition, Signal.AGGREGATES, fence, fence, changed)
        return len(changed)

    def _fold_through(self, offset: int) -> None:
        for records in self._records(offset + 1):
            # Enough time between batches to make every commit due.
            self._now += 60.0
            again = self._processor.process(records, self._now)
            self._next = records[-1].offset + 1 if again is None else again

    def _records(self, end: int) -> Iterator[list[Record]]:
        """Yields the next records before an offset, from the archive and then from the log."""
        begin, _ = self._reader.bounds(topics.EVENTS, self._partition)
        if self._next < begin:
            batch: list[Record] = []
            for record in self._archive(topics.EVENTS, self._partition, self._next, min(begin, end)):
                batch.append(record)
                if len(batch) == BATCH:
                    yield batch
                    batch = []
            if batch:
                yield batch
        while self._next < end:
            read = self._reader.read(topics.EVENTS, self._partition, self._next, min(BATCH, end - self._next))
            records = [record for record in read if record.offset < end]
            if not records:
                return
            yield records


def _leave_out(record: Record, reason: str) -> None:
    """Take a record that cannot be applied. Its dead letter was written when it was applied first."""
