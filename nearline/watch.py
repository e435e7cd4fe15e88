"""Checks every few seconds whether the log and the store are still those that the partition workers follow.

It has its own thread and reader, so that its requests never delay an event. It writes nothing to the log or the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Final

import structlog

from nearline import metrics
from nearline.partition_worker import PartitionWorker
from nearline.processor import SIGNALS
from nearline.recovery.scrub import Scrub
from schemas.errors import LogReplaced, LogUnavailable, StoreUnavailable, ValueCorrupt
from schemas.keys import Signal
from schemas.log import topics
from schemas.ports import LogReader, SignalStore

WATCH_SECONDS: Final = 2.0

log = structlog.get_logger()


class Watch:
    """For one thread; blocking."""

    def __init__(self, reader: LogReader, store: SignalStore) -> None:
        self._reader, self._store, self._scrub = reader, store, Scrub(store)
        self._log_ids: dict[str, str] = {}

    def check(self, workers: Iterable[PartitionWorker], followed: Mapping[str, str] = MappingProxyType({})) -> None:
        """Compare each open worker with log and store, and invalidate the workers that are ahead of either. Scrub some values.

        ``followed`` has the log of each topic that this process has followed. Raises LogReplaced if a topic is not the log
        that was followed, or that it was when it was first looked at.
        """
        try:
            opened = [worker for worker in workers if worker.opened]
            self._check(opened, followed)
            self._scrub.look(opened)
        except (LogUnavailable, StoreUnavailable) as error:
            # Without an answer the watch concludes nothing. The workers handle the failure themselves.
            log.warning("watch_failed", error=str(error))
            metrics.RETRIES.labels("watch").inc()
        except LogReplaced:
            raise
        except Exception:
            # An unforeseen failure must not end the task that watches.
            log.exception("watch_failed")
            metrics.RETRIES.labels("watch").inc()

    def _check(self, workers: list[PartitionWorker], followed: Mapping[str, str]) -> None:
        # Without workers too: while a topic is missing, Kafka assigns none, and says nothing when it is there again.
        ids = {topic: self._reader.log_id(topic) for topic in topics.FACTS}
        self._log_ids = {**ids, **self._log_ids}
        kept = ((worker.topic, worker.log_id) for worker in workers)
        for topic, log_id in chain(self._log_ids.items(), followed.items(), kept):
            if log_id != ids[topic]:
                self._log_ids = ids  # the embedded loop goes on with new workers
                raise LogReplaced(f"the log of {topic} was {log_id} and is {ids[topic]} now")
        for worker in workers:
            # Read the position first. Then the log and the fences can only be ahead of it, unless they went back.
            position = worker.position
            _, end = self._reader.bounds(worker.topic, worker.partition)
            metrics.LAG.labels(worker.topic, str(worker.partition)).set(max(0, end - position))
            if end < position or self._went_back(worker, position):
                log.warning(
                    "worker_invalidated", topic=worker.topic, partition=worker.partition, position=position, end=end
                )
                metrics.RETRIES.labels("went_back").inc()
                worker.invalidate()

    def _went_back(self, worker: PartitionWorker, position: int) -> bool:
        for signal in SIGNALS[worker.topic]:
            try:
                fence = self._store.fence(worker.partition, signal)
            except ValueCorrupt:
                return True  # The worker finds the same when it opens, and heals it.
            if fence is None or fence.log_id != worker.log_id:
                return True
            if signal != Signal.AGGREGATES and fence.offset < position - 1:
                return True
        return False
