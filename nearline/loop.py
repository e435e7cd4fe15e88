"""The embedded loop: one thread keeps the signals of every partition of the topics of events, items and users.

The loop sleeps until the log's writer in this process wakes it. It also polls every POLL_SECONDS, for records that other
processes have written.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from typing import Final

import structlog

from nearline import metrics
from nearline.dead_letters import DeadLetterSink
from nearline.forgets import ForgetSink, no_notice
from nearline.partition_worker import PartitionWorker, WorkerDependencies
from nearline.passivation.passivator import Passivation
from nearline.recovery.archive_reader import ArchiveReader, no_archive
from nearline.recovery.refolding import Refolding
from nearline.snapshots.recovery import SnapshotRecovery
from nearline.watch import WATCH_SECONDS, Watch
from schemas.background import BackgroundTask
from schemas.errors import FreshetError, LogReplaced, StoreUnavailable
from schemas.log import topics
from schemas.ports import Clock, LogReader, SignalStore

POLL_SECONDS: Final = 0.025
"""Maximum sleep between two polls."""

REFOLD_SECONDS: Final = 30.0
"""Longest wait for the loop to take over values that were folded again."""

log = structlog.get_logger()


class EmbeddedLoop:
    """Keeps all signals of an embedded log. ``reader`` and ``store`` are used on the thread of ``run`` only."""

    def __init__(
        self,
        reader: LogReader,
        store: SignalStore,
        dead_letters: DeadLetterSink,
        clock: Clock,
        poll_seconds: float = POLL_SECONDS,
        archive: ArchiveReader = no_archive,
        recovery: SnapshotRecovery | None = None,
        forgets: ForgetSink = no_notice,
        passivation: Passivation | None = None,
        *,
        in_parts: bool = True,
    ) -> None:
        self._reader, self._poll_seconds = reader, poll_seconds
        self._dependencies = WorkerDependencies(
            reader,
            store,
            dead_letters,
            archive,
            clock,
            recovery=recovery,
            forgets=forgets,
            in_parts=in_parts,
            passivation=passivation,
        )
        partitions = [(topic, partition) for topic in topics.FACTS for partition in range(reader.partitions(topic))]
        self._lag_gauges = [metrics.LAG.labels(topic, str(partition)) for topic, partition in partitions]
        self._workers = [self._worker(topic, partition) for topic, partition in partitions]
        self._watch, self._clock, self._watched = Watch(reader, store), clock, clock()
        self._woken = threading.Event()
        self._refoldings: deque[tuple[Refolding, int, Future[int]]] = deque()
        self._polled = False
        self._task = BackgroundTask("folding")

    @property
    def workers(self) -> list[PartitionWorker]:
        """A list of the present workers. For any thread."""
        return list(self._workers)

    def run(self, stop: threading.Event) -> None:
        """Follow the log until ``stop`` is set (call ``wake`` then to end at once)."""
        try:
            while not stop.is_set():
                self._woken.clear()
                if not self.poll():
                    self._woken.wait(self._task.pause(self._poll_seconds))
        finally:
            self._polled = False

    def poll(self) -> bool:
        """Poll each worker once. Returns True if more records can be applied at once."""
        with self._task.step():
            return self._poll_all()
        self._polled = False
        return False

    def _poll_all(self) -> bool:
        self._finish_refoldings()
        try:
            ends = self._reader.ends()
            unfinished = [self._poll(worker, ends) for worker in self._workers]
            self._check_workers()
        except LogReplaced as error:
            # New workers drop all memory of the old log.
            self._workers = [self._worker(worker.topic, worker.partition) for worker in self._workers]
            return self._not_polled(error)
        except FreshetError as error:
            return self._not_polled(error)
        for gauge, worker in zip(self._lag_gauges, self._workers, strict=True):
            gauge.set(worker.lag)
        self._polled = True
        return any(unfinished)

    def _check_workers(self) -> None:
        """Find fences that another process has moved back, as `freshet rebuild signals` does."""
        now = self._clock()
        if not 0.0 <= now - self._watched < WATCH_SECONDS:
            self._watched = now
            self._watch.check(self._workers)

    def refold(self, refolding: Refolding, partition: int) -> None:
        """Finish a refolding between two polls, and let the worker read the values again. Blocks. For any other thread.

        Raises FreshetError as ``Refolding.finish``, and StoreUnavailable if the loop has ended.
        """
        outcome: Future[int] = Future()
        self._refoldings.append((refolding, partition, outcome))
        self.wake()
        try:
            outcome.result(REFOLD_SECONDS)
        except TimeoutError as error:
            raise StoreUnavailable(f"partition {partition} was not folded again within {REFOLD_SECONDS:g} s") from error

    def _finish_refoldings(self) -> None:
        while self._refoldings:
            refolding, partition, outcome = self._refoldings.popleft()
            try:
                for worker in self._workers:
                    if (worker.topic, worker.partition) == (topics.EVENTS, partition):
                        worker.invalidate()
                outcome.set_result(refolding.finish())
            except Exception as error:  # noqa: BLE001 - it belongs to the thread that waits
                outcome.set_exception(error)

    def wake(self) -> None:
        """Make the loop poll at once, after an append. For any thread."""
        self._woken.set()

    def caught_up(self) -> bool:
        """True if every worker had caught up at the last poll. For any thread."""
        return self._polled and all(worker.caught_up() for worker in self._workers)

    def lag(self) -> int:
        """Returns the number of records that were not yet applied at the last poll. For any thread."""
        return sum(worker.lag for worker in self._workers)

    def _worker(self, topic: str, partition: int) -> PartitionWorker:
        # Every poll checks whether a commit is due, because an idle loop polls only every POLL_SECONDS.
        return PartitionWorker(topic, partition, self._dependencies, tick_seconds=0.0)

    @staticmethod
    def _poll(worker: PartitionWorker, ends: dict[tuple[str, int], int]) -> bool:
        worker.target = ends.get((worker.topic, worker.partition), 0)
        return worker.poll()

    def _not_polled(self, error: FreshetError) -> bool:
        log.warning("nearline_waits", error=repr(error))
        metrics.RETRIES.labels(type(error).__name__).inc()
        self._polled = False
        return False
