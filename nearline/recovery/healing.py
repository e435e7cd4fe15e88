"""Heals stored values that cannot be read, by folding the log again.

A value of ``users``, ``items`` or ``profiles`` depends on its own records only. So only these are folded again, up to the
fence, and all other values stay. A counter of ``aggregates`` depends on the records of all users and on their histories at
that time. So ``aggregates`` and ``users`` of the partition are rebuilt together, by the worker itself. So is ``users``
where a bucket of passivated guests cannot be read. Where neither log nor archive holds the partition's first records any
more, a rebuild would lose more than the counter, which then begins empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Final

import structlog

from nearline import metrics
from nearline.recovery.value_fold import ValueFold
from schemas.errors import ValueCorrupt
from schemas.keys import IN_PARTS, Signal
from schemas.log.fence import Fence
from schemas.log.records import Record
from schemas.values.passivated import is_bucket_key
from schemas.values.tails import tail_key

if TYPE_CHECKING:
    from nearline.partition_worker import WorkerDependencies

MAX_REFOLDED: Final = 1_000
"""Limit of values that are folded again one by one. If more cannot be read, all values of the signal are rebuilt."""
_BATCH: Final = 1_000
_EMPTY_READS: Final = 20
"""Empty reads in a row after which no record is expected before the fence."""

log = structlog.get_logger()

Fences = Mapping[Signal, Fence | None]


class Healer:
    """Knows which stored values of one partition cannot be read, and heals them. For the worker's thread."""

    def __init__(self, topic: str, partition: int, dependencies: WorkerDependencies) -> None:
        self._topic, self._partition, self._dependencies = topic, partition, dependencies
        self._unreadable: set[Signal] = set()
        self._keys: dict[Signal, set[str]] = {}
        self._refolding: Iterator[None] | None = None

    def report(self, corrupt: ValueCorrupt) -> None:
        """Note what cannot be read. ``discard_unreadable``, ``to_rebuild`` and ``refold`` heal it."""
        log.error("value_corrupt", topic=self._topic, partition=self._partition, error=str(corrupt))
        signal = Signal(corrupt.signal)
        metrics.CORRUPT.labels(signal).inc(len(corrupt.keys) or 1)
        if corrupt.keys:
            self._keys.setdefault(signal, set()).update(corrupt.keys)
        else:
            self._unreadable.add(signal)
        self._refolding = None

    def discard_unreadable(self) -> None:
        """Remove the signals of which the fence or all values cannot be read. Without a fence they are rebuilt."""
        for signal in list(self._unreadable):
            self._dependencies.store.discard(self._partition, signal)
            metrics.REBUILDS.labels(self._topic).inc()
            self._keys.pop(signal, None)
            self._unreadable.discard(signal)

    def to_rebuild(self, fences: Fences) -> set[Signal]:
        """Returns the signals whose values have to be rebuilt from the log's start. Forgets what a rebuild heals."""
        rebuilt = {signal for signal, keys in self._keys.items() if len(keys) > MAX_REFOLDED}
        if any(map(is_bucket_key, self._keys.get(Signal.USERS, ()))):
            rebuilt.add(Signal.USERS)  # nobody knows which guests were passivated, so all of them come back
        if Signal.AGGREGATES in self._keys and self._is_rebuildable():
            rebuilt.add(Signal.AGGREGATES)
        if Signal.AGGREGATES in rebuilt or (Signal.AGGREGATES in fences and fences[Signal.AGGREGATES] is None):
            rebuilt |= {Signal.AGGREGATES, Signal.USERS}
        for signal in rebuilt:
            self._keys.pop(signal, None)
        return {signal for signal in rebuilt if (fence := fences[signal]) is not None and fence.offset >= 0}

    def refold(self, log_id: str, fences: Fences) -> bool:
        """Fold some more records for the values that cannot be read. True once all of them are healed.

        Raises StoreUnavailable, LogUnavailable, FenceMoved.
        """
        if not self._keys:
            return True
        if self._refolding is None:
            self._refolding = self._refold_all(log_id, dict(fences))
        try:
            next(self._refolding)
        except StopIteration:
            self._refolding = None
            return not self._keys
        except BaseException:
            self._refolding = None
            raise
        return False

    def _refold_all(self, log_id: str, fences: dict[Signal, Fence | None]) -> Iterator[None]:
        for signal, keys in list(self._keys.items()):
            fence = fences[signal]
            values: dict[str, bytes | None] = dict.fromkeys(keys)
            if fence is not None and signal != Signal.AGGREGATES:
                yield from self._refold(signal, log_id, fence, values)
            if fence is not None:
                # A value that is healed is whole. No tail of it must stay.
                remnants = {tail_key(key): None for key in values} if signal in IN_PARTS else {}
                self._dependencies.store.commit(self._partition, signal, fence, fence, {**values, **remnants})
            log.warning(
                "values_healed", topic=self._topic, partition=self._partition, signal=signal, keys=sorted(keys)[:10]
            )
            del self._keys[signal]

    def _refold(self, signal: Signal, log_id: str, fence: Fence, values: dict[str, bytes | None]) -> Iterator[None]:
        """Set each value to what its records give, up to the fence. One batch of records a step."""
        fold = ValueFold(self._topic, self._partition, log_id, signal, dict.fromkeys(values, fence.offset + 1))
        for records in self._records(fence.offset + 1):
            fold.fold(records)
            yield
        values.update(fold.values())

    def _records(self, end: int) -> Iterator[list[Record]]:
        """Yields the records before an offset, from the archive and then from the log."""
        reader, position, empty_reads = self._dependencies.reader, 0, 0
        begin, _ = reader.bounds(self._topic, self._partition)
        archived = iter(self._dependencies.archive(self._topic, self._partition, 0, min(begin, end)) if begin else ())
        while records := list(islice(archived, _BATCH)):
            yield records
            position = records[-1].offset + 1
        if position < min(begin, end):
            log.error("records_missing", topic=self._topic, partition=self._partition, first=position, end=begin)
        position = max(position, begin)
        while position < end and empty_reads < _EMPTY_READS:
            records = reader.read(self._topic, self._partition, position, min(_BATCH, end - position))
            yield [record for record in records if record.offset < end]
            empty_reads = 0 if records else empty_reads + 1
            position = records[-1].offset + 1 if records else position

    def _is_rebuildable(self) -> bool:
        """True if the log or the archive holds the partition's first record."""
        begin, _ = self._dependencies.reader.bounds(self._topic, self._partition)
        if begin == 0:
            return True
        first = next(iter(self._dependencies.archive(self._topic, self._partition, 0, begin)), None)
        return first is not None and first.offset == 0
