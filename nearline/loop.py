"""The embedded loop: every partition of every topic of facts, in one thread, through the one processor.

It sleeps until the log's writer in this process wakes it, and looks a few dozen times a second for what
other processes have written.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from nearline import metrics
from nearline.processor import SIGNALS, Processor, Refuse, processor_for
from schemas.errors import FenceMoved, FreshetError, LogUnavailable, StoreUnavailable
from schemas.log import topics
from schemas.log.fence import Fence
from schemas.log.records import Record
from schemas.ports import Clock, LogReader, SignalStore

BATCH: Final = 1_000
"""Records that one partition applies before the next has its turn."""
POLL_SECONDS: Final = 0.025
FIRST_BACKOFF_SECONDS: Final = 0.05
LAST_BACKOFF_SECONDS: Final = 2.0

log = structlog.get_logger()


class FollowedLog(LogReader, Protocol):
    """A log whose ends can be looked at cheaply, all at once."""

    def ends(self) -> dict[tuple[str, int], int]:
        """The offset after the last, for each topic and partition that has records; raises LogUnavailable."""


class Follower:
    """One partition of one topic: where reading stands, and how it goes on after a failure."""

    def __init__(self, topic: str, partition: int, reader: LogReader, store: SignalStore, refuse: Refuse) -> None:
        self.topic, self.partition = topic, partition
        self._reader, self._store, self._refuse = reader, store, refuse
        self._lag_gauge = metrics.LAG.labels(topic, str(partition))
        self._taken = metrics.EVENTS.labels(topic, "taken")
        self._processor: Processor | None = None
        self._next = 0
        self._settled = False
        self._backoff = FIRST_BACKOFF_SECONDS
        self._not_before = 0.0
        self.lag = 0

    @property
    def caught_up(self) -> bool:
        """Whether it stands at the end that it last saw, with nothing to retry, and has stood there with all committed."""
        return self._settled and self.lag == 0

    def step(self, end: int, clock: Clock) -> bool:
        """Apply the next records up to ``end``; True where more are left to take at once."""
        if clock() < self._not_before:
            self._see(end)
            return False
        try:
            self._advance(end, clock)
        except FenceMoved as moved:
            log.warning("fence_moved", topic=self.topic, partition=self.partition, signal=moved.signal)
            self._start_over("fence_moved", 0.0, clock)
        except (StoreUnavailable, LogUnavailable) as error:
            log.warning("nearline_waits", topic=self.topic, partition=self.partition, error=str(error))
            self._start_over(type(error).__name__, self._backoff, clock)
            self._backoff = min(2 * self._backoff, LAST_BACKOFF_SECONDS)
        else:
            self._backoff = FIRST_BACKOFF_SECONDS
        self._see(end)
        return self.lag > 0 and self._not_before <= clock()

    def _advance(self, end: int, clock: Clock) -> None:
        processor = self._processor or self._open()
        if self._next < end:
            records = self._reader.read(self.topic, self.partition, self._next, BATCH)
            processor.process(records, clock())
            self._count(records, clock())
            self._next = records[-1].offset + 1 if records else end
        else:
            processor.tick(clock())
        self._settled |= self._next >= end and processor.settled

    def _open(self) -> Processor:
        log_id = self._reader.log_id(self.topic)
        self._forget_fences_beyond_the_end(log_id)
        processor = processor_for(self.topic, self.partition, log_id, self._store, self._refuse)
        self._next = processor.resume()
        self._processor = processor
        return processor

    def _forget_fences_beyond_the_end(self, log_id: str) -> None:
        """Such a fence means that an older copy of the log was put back: its new records must count."""
        for signal in SIGNALS[self.topic]:
            fence = self._store.fence(self.partition, signal)
            _, end = self._reader.bounds(self.topic, self.partition)
            if fence is not None and fence.log_id == log_id and fence.offset >= end:
                log.warning("signal_ahead_of_log", signal=signal, partition=self.partition, fence=fence.offset, end=end)
                metrics.RETRIES.labels("signal_ahead_of_log").inc()
                self._store.reset(self.partition, signal, fence, Fence(log_id, -1))

    def _start_over(self, reason: str, pause: float, clock: Clock) -> None:
        metrics.RETRIES.labels(reason).inc()
        self._processor, self._settled = None, False
        self._not_before = clock() + pause

    def _see(self, end: int) -> None:
        self.lag = max(0, end - self._next)
        self._lag_gauge.set(self.lag)

    def _count(self, records: Sequence[Record], now: float) -> None:
        self._taken.inc(len(records))
        if self.topic == topics.EVENTS:
            for record in records:
                metrics.EVENT_TO_SIGNAL.observe(max(0.0, now - record.timestamp_ms / 1_000))


class EmbeddedLoop:
    """Keeps all signals of an embedded log. ``reader`` and ``store`` are used on the thread of ``run`` only."""

    def __init__(
        self,
        reader: FollowedLog,
        store: SignalStore,
        refuse: Refuse,
        clock: Clock,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._reader, self._clock, self._poll_seconds = reader, clock, poll_seconds
        self._followers = [
            Follower(topic, partition, reader, store, refuse)
            for topic in topics.FACTS
            for partition in range(reader.partitions(topic))
        ]
        self._woken = threading.Event()
        self._looked = False

    def run(self, stop: threading.Event) -> None:
        """Follow the log until ``stop`` is set (call ``wake`` then to end at once)."""
        try:
            while not stop.is_set():
                self._woken.clear()
                if not self.step():
                    self._woken.wait(self._poll_seconds)
        finally:
            self._looked = False

    def step(self) -> bool:
        """One turn for each partition; True where records are left to take at once."""
        try:
            ends = self._reader.ends()
        except LogUnavailable as error:
            return self._wait_for_log(error)
        left = [each.step(ends.get((each.topic, each.partition), 0), self._clock) for each in self._followers]
        self._looked = True
        return any(left)

    def wake(self) -> None:
        """Something was appended: look at once. For any thread."""
        self._woken.set()

    def caught_up(self) -> bool:
        """Whether every partition stood at its end at the last look. For any thread."""
        return self._looked and all(each.caught_up for each in self._followers)

    def lag(self) -> int:
        """Records on the log at the last look that are not yet applied. For any thread."""
        return sum(each.lag for each in self._followers)

    def _wait_for_log(self, error: FreshetError) -> bool:
        log.warning("nearline_waits", error=str(error))
        metrics.RETRIES.labels(type(error).__name__).inc()
        self._looked = False
        return False
