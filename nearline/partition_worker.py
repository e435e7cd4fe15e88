"""The worker of one partition: applies each record once, in order, beginning after the fence.

The fence is the stored position of a signal (``nearline.processor``). Faust and the embedded loop use the same worker. The
Faust app offers it the records that Kafka delivers. The embedded loop sets ``target``, the end of the log. The worker's own
position decides in both cases: it skips an offered record before its position, and it reads missing records from the log
by itself. So no rebalance, duplicate or late delivery can lose a record or apply it twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

import structlog

from nearline import metrics
from nearline.confirmation import Confirmation
from nearline.dead_letters import DeadLetterSink
from nearline.forgets import ForgetSink, no_notice
from nearline.isolation import IsolatingProcessor
from nearline.passivation.guests import GuestsReturned
from nearline.passivation.passivator import Passivation, Passivator
from nearline.processor import SIGNALS, processor_for
from nearline.recovery.archive_reader import ArchiveReader
from nearline.recovery.healing import Healer
from nearline.recovery.set_aside import SetAside
from nearline.snapshots.recovery import SnapshotLoading, SnapshotRecovery
from nearline.waiting_records import WaitingRecords
from schemas.background import FAILURES
from schemas.clock_skew import CLOCK_SKEW
from schemas.errors import FenceMoved, LogReplaced, LogUnavailable, StoreFull, StoreUnavailable, ValueCorrupt
from schemas.keys import Signal
from schemas.log import topics
from schemas.log.fence import Fence
from schemas.log.records import Record
from schemas.ports import Clock, LogReader, SignalStore

BATCH_RECORDS: Final = 1_000
"""Limit of records that one worker applies in one poll. Then the next worker is polled."""
TICK_SECONDS: Final = 0.1
"""Default pause between two checks of an idle worker whether a commit is due."""
FIRST_BACKOFF_SECONDS: Final = 0.05
"""Pause after the first failure. Each further failure doubles it, up to LAST_BACKOFF_SECONDS."""
LOADING_SECONDS: Final = 0.25
"""Pause between two looks whether the snapshot of the partition is loaded."""
RETURN_SECONDS: Final = 0.02
"""Pause between two looks whether the values of guests who have returned are folded."""
LAST_BACKOFF_SECONDS: Final = 1.0
"""The longest pause after a failure."""

RESET_SECONDS: Final = 10.0
"""Time over which all looks must agree before values are reset, or missing records are given up."""
ONE_READER_SECONDS: Final = 1.0
"""RESET_SECONDS of a log without brokers. Also the time for which reads must stay empty before offsets are skipped."""

log = structlog.get_logger()


class WorkerDependencies(NamedTuple):
    """The adapters and the clock that the workers of one thread share."""

    reader: LogReader
    store: SignalStore
    dead_letters: DeadLetterSink
    archive: ArchiveReader
    clock: Clock
    another_reader: Callable[[], LogReader] | None = None
    """Opens a reader with connections of its own, to look again at what one answer of the log says."""
    recovery: SnapshotRecovery | None = None
    """Loads the snapshot of a partition that has no fence; None if there are no snapshots."""
    forgets: ForgetSink = no_notice
    in_parts: bool = True
    """Whether large values of users are stored in two parts."""
    passivation: Passivation | None = None
    """Lets the values of idle guests go, and brings them back; None where nobody ever lets one go."""


class PartitionWorker:
    """Keeps the signals of one partition of one topic.

    ``offer``, ``invalidate`` and ``report_corrupt`` may be called from any thread. All other methods are for the one thread that applies.
    """

    def __init__(
        self, topic: str, partition: int, dependencies: WorkerDependencies, tick_seconds: float = TICK_SECONDS
    ) -> None:
        self.topic, self.partition = topic, partition
        self._dependencies, self._tick_seconds = dependencies, tick_seconds
        self.log_id: str | None = None
        self.position = 0
        """Next offset to apply. All records before it are committed to ``users`` or to the views."""
        self.target = 0
        """Offset up to which the worker reads the log by itself: the last known end of the log. The caller may set it."""
        self.lag = 0
        """Number of offsets from the position to ``target``, at the end of the last poll."""
        self._begin = 0
        self._archived: Iterator[Record] | None = None
        self._processor: IsolatingProcessor | None = None
        self._flushed = False
        self._set_aside = SetAside(topic, partition, dependencies.store)
        self._invalidated = False
        self._confirmation = Confirmation()
        self._healer, self._reported = Healer(topic, partition, dependencies), deque[ValueCorrupt]()
        passivation = dependencies.passivation
        self._passivator = Passivator(partition, dependencies.store, passivation) if passivation else None
        self._reset_seconds = ONE_READER_SECONDS if dependencies.another_reader is None else RESET_SECONDS
        self._backoff, self._paused_until = FIRST_BACKOFF_SECONDS, 0.0
        self._polled = 0.0
        self._applied = metrics.EVENTS.labels(topic, "applied")
        self._waiting = WaitingRecords(metrics.EVENTS.labels(topic, "skipped").inc)

    @property
    def waiting(self) -> int:
        """Number of records that were offered and are not yet applied."""
        return len(self._waiting)

    @property
    def opened(self) -> bool:
        """True if the fences have been read."""
        return self._processor is not None

    def caught_up(self) -> bool:
        """True if the worker has reached the log's end and has committed all signals since its last failure."""
        return self._flushed and self.lag == 0

    def offer(self, record: Record) -> None:
        """Take a delivered record. Records may come in any order."""
        self._waiting.offer(record)

    def invalidate(self) -> None:
        """Make the worker read the fences again before it applies another record."""
        self._invalidated = True

    def report_corrupt(self, corrupt: ValueCorrupt) -> None:
        """Make the worker heal stored values that cannot be read."""
        self._reported.append(corrupt)
        self._invalidated = True

    def poll(self) -> bool:
        """Apply the next records. Returns True if more records can be applied at once. Raises LogReplaced."""
        unfinished = self._poll(self._dependencies.clock())
        self.lag = max(0, self.target - self.position)
        return unfinished

    def open(self) -> None:
        """Read the fences, unless they have been read. While stored values are healed, the worker is not open.

        Raises StoreUnavailable, LogUnavailable, LogReplaced, FenceMoved, ValueCorrupt.
        """
        if self._invalidated:
            self._invalidated = False
            self._processor = None
        while self._reported:
            self._healer.report(self._reported.popleft())
        if self._processor is not None:
            return
        log_id = self._dependencies.reader.log_id(self.topic)
        if self.log_id not in (None, log_id):
            raise LogReplaced(f"the log of {self.topic} was {self.log_id} and is {log_id} now")
        self.log_id = log_id
        self._healer.discard_unreadable()
        # Read the fences before the log's end. Else a fence that another worker moves could be past the end that was read.
        fences = self._fences()
        self._begin, self.target = self._dependencies.reader.bounds(self.topic, self.partition)
        if self._dependencies.recovery is not None and not any(fences.values()):
            bounds = self._begin, self.target
            self._dependencies.recovery.require_loaded(self.topic, self.partition, log_id, bounds)
            fences = self._fences()
        is_stale = partial(self._is_stale, log_id=log_id)
        fences = {signal: self._set_aside.restored(signal, fence, log_id, is_stale) for signal, fence in fences.items()}
        stale = {signal: fence for signal, fence in fences.items() if self._is_stale(fence, log_id)}
        if any(fence is not None and fence.offset >= 0 for fence in stale.values()):  # else there is nothing to lose
            self._require_confirmed_stale(stale, log_id)
        for signal, fence in stale.items():
            self._reset(signal, fence, log_id)
            fences[signal] = Fence(log_id, -1)
        for signal in sorted(self._healer.to_rebuild(fences)):
            self._reset(signal, fences[signal], log_id)
            fences[signal] = Fence(log_id, -1)
        if not self._healer.refold(log_id, fences):
            return
        store, dead_letters = self._dependencies.store, self._dependencies.dead_letters
        forgets, in_parts = self._dependencies.forgets, self._dependencies.in_parts
        processor = IsolatingProcessor(
            processor_for(self.topic, self.partition, log_id, store, dead_letters, forgets, in_parts=in_parts),
            dead_letters,
        )
        self.position = processor.resume()
        self._archived = None
        self._processor = processor

    def _fences(self) -> dict[Signal, Fence | None]:
        return {signal: self._dependencies.store.fence(self.partition, signal) for signal in SIGNALS[self.topic]}

    def _poll(self, now: float) -> bool:
        if self._processor is None or self._has_gap():
            # Read them from the log later.
            self.target = max(self.target, self._waiting.drop_excess())
        # A clock that was set back is no reason to wait longer.
        paused = 0.0 < self._paused_until - now <= LAST_BACKOFF_SECONDS
        if paused or (self._idle() and 0.0 <= now - self._polled < self._tick_seconds):
            return False
        self._polled = now
        try:
            self.open()
            self._advance(now)
        except (ValueCorrupt, FenceMoved) as error:
            self._read_again(error)
        except GuestsReturned as returned:
            assert self._passivator is not None  # else nobody let their values go
            self._passivator.begin_return(returned)
            self._archived = None  # its iterator is past these records
        except LogReplaced:
            raise
        except Exception as error:  # noqa: BLE001 - one partition must not end the process
            self._wait_after(error, now)
        else:
            self._backoff = FIRST_BACKOFF_SECONDS
        return self._paused_until <= now and (
            self._processor is None or self._behind() or self._waiting.first is not None
        )

    def _read_again(self, error: ValueCorrupt | FenceMoved) -> None:
        if isinstance(error, ValueCorrupt):
            self._healer.report(error)
            self._start_over("value_corrupt")
        else:
            log.warning("fence_moved", topic=self.topic, partition=self.partition, signal=error.signal)
            self._start_over("fence_moved")

    def _is_waiting_for_guests(self, processor: IsolatingProcessor, now: float) -> bool:
        """True while the values of returned guests are folded. Else looks for some idle guests."""
        if self._passivator is None:
            return False
        self._passivator.open(processor.guests, self.log_id or "")
        if self._passivator.is_waiting():
            self._flushed, self._paused_until = False, now + RETURN_SECONDS
            self.target = max(self.target, self._waiting.drop_excess())
            self._go_back(processor.tick(now))
            return True
        self._passivator.step(now)
        return False

    def _wait_after(self, error: Exception, now: float) -> None:
        if isinstance(error, SnapshotLoading):  # no failure
            self._flushed, self._paused_until = False, now + LOADING_SECONDS
            return
        if isinstance(error, StoreFull):
            self._set_aside.make_room()
        elif isinstance(error, StoreUnavailable):
            metrics.STORE_RETRIES.inc()
        elif not isinstance(error, LogUnavailable):
            log.error("partition_failed", topic=self.topic, partition=self.partition, exc_info=error)
            FAILURES.labels("folding").inc()
        self._pause(error, now)

    def _is_stale(self, fence: Fence | None, log_id: str) -> bool:
        """True if values at this fence come from another log, or from records that are not on this log."""
        return fence is not None and (fence.log_id != log_id or fence.offset >= self.target)

    def _require_confirmed_stale(self, stale: Mapping[Signal, Fence | None], log_id: str) -> None:
        """Raise LogUnavailable until several looks at the log agree that these fences are not on it."""
        with self._another_reader() as reader:
            other_id, (_, end) = reader.log_id(self.topic), reader.bounds(self.topic, self.partition)
        self.target = max(self.target, end)
        if other_id != log_id or not all(self._is_stale(fence, log_id) for fence in stale.values()):
            self._confirmation.reset()
            raise LogUnavailable(f"two looks at partition {self.partition} of {self.topic} disagree where it ends")
        fences = ", ".join(f"{signal} {fence}" for signal, fence in stale.items())
        self._require_confirmed(f"log {log_id} does not reach the fences {fences}", self._reset_seconds)

    def _require_confirmed(self, finding: str, seconds: float) -> None:
        if not self._confirmation.confirms(finding, self._dependencies.clock(), seconds):
            metrics.RETRIES.labels("look_again").inc()
            raise LogUnavailable(f"{finding}: partition {self.partition} of {self.topic} is looked at again")

    @contextmanager
    def _another_reader(self) -> Iterator[LogReader]:
        """Gives a reader with connections of its own, which may reach other brokers; the same one if there is no other."""
        if self._dependencies.another_reader is None:
            yield self._dependencies.reader
            return
        with closing(self._dependencies.another_reader()) as reader:
            yield reader

    def _reset(self, signal: str, fence: Fence | None, log_id: str) -> None:
        log.warning(
            "signal_rebuilt", topic=self.topic, partition=self.partition, signal=signal, fence=str(fence), log_id=log_id
        )
        metrics.REBUILDS.labels(self.topic).inc()
        self._set_aside.may_exist = True
        self._dependencies.store.reset(self.partition, signal, fence, Fence(log_id, -1))

    def _advance(self, now: float) -> None:
        if self._processor is None or self._is_waiting_for_guests(self._processor, now):
            return
        self._waiting.sort(self.position)
        if self._waiting.first == self.position:
            self._apply_waiting(self._processor, now)
        elif self._behind():
            self._apply_missing(self._processor, now)
        else:
            self._go_back(self._processor.tick(now))
        self._flushed |= self.position >= self.target and self._processor.flushed
        if self._set_aside.may_exist and self._flushed and self.position > 0:
            self._set_aside.discard()

    def _idle(self) -> bool:
        return self.opened and not self._invalidated and not self.waiting and not self._behind()

    def _behind(self) -> bool:
        return self.position < max(self.target, self._waiting.first or 0)

    def _has_gap(self) -> bool:
        return (self._waiting.first or 0) > self.position

    def _apply_waiting(self, processor: IsolatingProcessor, now: float) -> None:
        self._apply(processor, self._waiting.consecutive(self.position, BATCH_RECORDS), now)
        self._waiting.drop_before(self.position)

    def _apply_missing(self, processor: IsolatingProcessor, now: float) -> None:
        """Apply the records before the pending ones, or before ``target``. They come from the archive or the log."""
        end = self.target if self._waiting.first is None else self._waiting.first
        if self.position < self._begin:
            self._apply(processor, self._read_archive(), now)
            return
        records = self._read(end)
        if not records and self.position < self._begin:
            return
        reached = not records or records[-1].offset >= end
        applied = self._apply(processor, [record for record in records if record.offset < end], now)
        if reached and applied:
            self.position = end  # offsets without records: transaction markers, or removed by compaction

    def _read(self, end: int) -> list[Record]:
        """Returns the next records of the log before ``end``. None are returned after several looks found none."""
        records = self._dependencies.reader.read(
            self.topic, self.partition, self.position, min(BATCH_RECORDS, end - self.position)
        )
        if not records:
            self._require_confirmed(f"no record from {self.position} to {end}", ONE_READER_SECONDS)
        elif records[0].offset > self.position:
            begin, _ = self._dependencies.reader.bounds(self.topic, self.partition)
            if begin > self.position:  # retention has removed records since the worker opened
                self._begin, self._archived = begin, None
                return []
        return records

    def _apply(self, processor: IsolatingProcessor, records: Sequence[Record], now: float) -> bool:
        """Apply consecutive records. False if the position went back, because one of them is poison."""
        if not records:
            return True
        again = processor.process(records, now)
        self.position = records[-1].offset + 1
        if again is not None:
            self._go_back(again)
            return False
        self._count(records)
        return True

    def _go_back(self, offset: int | None) -> None:
        """Continue at an earlier offset, and read the records up to here again."""
        if offset is not None:
            self.target, self.position = max(self.target, self.position), offset
            self._archived = None

    def _count(self, records: Sequence[Record]) -> None:
        self._applied.inc(len(records))
        if self._passivator is not None:
            self._passivator.newest_ms = max(self._passivator.newest_ms, records[-1].timestamp_ms)
        if self.topic == topics.EVENTS:
            committed = self._dependencies.clock()
            CLOCK_SKEW.read(committed, records[-1].timestamp_ms / 1_000)
            for record in records:
                metrics.EVENT_TO_SIGNAL.observe(max(0.0, committed - record.timestamp_ms / 1_000))

    def _read_archive(self) -> list[Record]:
        """Returns the next archived records, which retention has removed from the log.

        After the last of them, the position moves to the first offset of the log.
        """
        if self._archived is None:
            log.warning(
                "behind_retention", topic=self.topic, partition=self.partition, next=self.position, begin=self._begin
            )
            self._archived = self._dependencies.archive(self.topic, self.partition, self.position, self._begin)
        records = [record for record in islice(self._archived, BATCH_RECORDS) if record.offset >= self.position]
        metrics.ARCHIVED.labels(self.topic).inc(len(records))
        missing = (records[0].offset if records else self._begin) - self.position
        if missing:
            self._require_confirmed_missing()
            log.error("records_missing", topic=self.topic, partition=self.partition, first=self.position, count=missing)
            metrics.MISSING.labels(self.topic).inc(missing)
        if not records:
            self.position = self._begin
        return records

    def _require_confirmed_missing(self) -> None:
        """Raise LogUnavailable until several looks agree that neither the log nor the archive holds the next record."""
        with self._another_reader() as reader:
            begin, _ = reader.bounds(self.topic, self.partition)
        if begin <= self.position:
            self._confirmation.reset()
            raise LogUnavailable(f"two looks at partition {self.partition} of {self.topic} disagree where it begins")
        self._require_confirmed(f"neither log nor archive holds offset {self.position}", self._reset_seconds)

    def _start_over(self, reason: str) -> None:
        metrics.RETRIES.labels(reason).inc()
        self._processor, self._flushed = None, False

    def _pause(self, error: Exception, now: float) -> None:
        log.warning("nearline_waits", topic=self.topic, partition=self.partition, error=str(error))
        self._start_over(type(error).__name__)
        self._paused_until = now + self._backoff
        self._backoff = min(2 * self._backoff, LAST_BACKOFF_SECONDS)
