"""The partitions that one Faust worker keeps, each with its own PartitionWorker."""

from __future__ import annotations

from typing import Final

import structlog

from nearline import metrics
from nearline.partition_worker import PartitionWorker, WorkerDependencies
from nearline.processor import SIGNALS
from schemas.errors import LogReplaced
from schemas.log.records import Record

POLL_SECONDS: Final = 0.25
"""Time limit of one round of polls. So a rebalance never waits long for the thread that applies."""

log = structlog.get_logger()


class Assignment:
    """All partition workers of one process.

    The thread that fetches calls ``offer``. The event loop calls ``position`` and ``release``. The one thread that applies
    calls the other methods.
    """

    def __init__(self, dependencies: WorkerDependencies) -> None:
        self._dependencies = dependencies
        self._workers: dict[tuple[str, int], PartitionWorker] = {}
        self._log_ids: dict[str, str] = {}
        self._first = 0

    @property
    def workers(self) -> list[PartitionWorker]:
        """A list of the present workers."""
        return list(self._workers.values())

    @property
    def log_ids(self) -> dict[str, str]:
        """The log of each topic of which this process has opened a partition, whether it keeps one or not."""
        opened = {worker.topic: worker.log_id for worker in self.workers if worker.log_id is not None}
        return self._log_ids | opened

    def offer(self, record: Record) -> PartitionWorker | None:
        """Hand a delivered record to its worker. Returns None, and drops it, if another process keeps its partition."""
        worker = self._workers.get((record.topic, record.partition))
        if worker is not None:
            worker.offer(record)
        return worker

    def position(self, topic: str, partition: int) -> int | None:
        """Returns the offset before which all records are committed; None if the fences have not been read."""
        worker = self._workers.get((topic, partition))
        return worker.position if worker is not None and worker.opened else None

    def assign(self, partitions: set[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Keep exactly these partitions. Returns, for each, the offset at which deliveries begin. Raises LogReplaced.

        A worker reads all records before that offset by itself. A partition that cannot be opened yet is left out of the
        result. Its worker later reads from the log what lies before the first delivered record.
        """
        self._log_ids = self.log_ids
        self._workers = {
            (topic, partition): PartitionWorker(topic, partition, self._dependencies)
            for topic, partition in sorted(partitions)
        }
        self._count_partitions()
        for worker in self.workers:
            worker.log_id = self._log_ids.get(worker.topic)
            try:
                worker.open()
            except LogReplaced:
                raise
            except Exception as error:  # noqa: BLE001 - one partition must not end the process
                log.warning("partition_opens_later", topic=worker.topic, partition=worker.partition, error=repr(error))
                break
            self._log_ids[worker.topic] = worker.log_id or ""
        return {(worker.topic, worker.partition): worker.target for worker in self.workers if worker.opened}

    def release(self, partitions: set[tuple[str, int]]) -> None:
        """Stop keeping these partitions. The next process continues after the committed fences."""
        self._log_ids = self.log_ids
        self._workers = {key: worker for key, worker in self._workers.items() if key not in partitions}
        self._count_partitions()

    def poll(self) -> bool:
        """Poll each worker once, within POLL_SECONDS. True if more records can be applied at once. Raises LogReplaced."""
        workers, end, unfinished = self.workers, self._dependencies.clock() + POLL_SECONDS, False
        start = self._first % max(1, len(workers))
        for number, worker in enumerate(workers[start:] + workers[:start]):
            unfinished |= worker.poll()
            if self._dependencies.clock() > end:
                self._first = start + number + 1
                return True
        return unfinished

    def _count_partitions(self) -> None:
        for topic in SIGNALS:
            metrics.PARTITIONS.labels(topic).set(sum(worker.topic == topic for worker in self.workers))
