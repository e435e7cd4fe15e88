"""Takes the snapshots of a process's partitions when they are due, in a thread of its own, and removes old ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import Final, NamedTuple, Self
from uuid import uuid4

import structlog

from nearline import metrics
from nearline.partition_worker import PartitionWorker
from nearline.processor import SIGNALS
from nearline.snapshots.capture import Capture
from nearline.snapshots.recording import RecordingStore
from schemas.background import BackgroundTask
from schemas.configuration.settings import SharedSettings
from schemas.errors import SnapshotAbandoned, SnapshotsUnavailable, StoreUnavailable, ValueCorrupt
from schemas.ports import Clock, SignalStore, SnapshotStore
from schemas.snapshots import Snapshot

LOOK_SECONDS: Final = 5.0
"""Pause between two looks whether a snapshot is due."""
RETRY_SECONDS: Final = 60.0
"""Pause of a partition after a snapshot that failed."""
UNPUBLISHED_SECONDS: Final = 86_400.0
"""Age at which an unpublished snapshot is removed: its writer has ended."""

log = structlog.get_logger()


class SnapshotPolicy(NamedTuple):
    """When snapshots are taken, and how long they are kept."""

    interval: float = 900.0
    """Seconds between two snapshots of a partition that changes."""
    keep: int = 2
    """Number of snapshots of a partition that are kept."""
    max_age: float = 7 * 86_400.0
    """Seconds after which a snapshot is removed. An unchanged partition is copied again at half of this age."""

    @classmethod
    def of(cls, settings: SharedSettings) -> Self:
        """The policy of a process's settings."""
        return cls(60.0 * settings.snapshot_minutes, settings.snapshot_keep, 86_400.0 * settings.snapshot_days)


class SnapshotTaker:
    """Takes snapshots of the partitions that ``workers`` keeps now. For one thread.

    ``store`` is a connection of its own, ``recording`` the store through which the workers commit.
    """

    def __init__(
        self,
        workers: Callable[[], Sequence[PartitionWorker]],
        recording: RecordingStore,
        store: SignalStore,
        snapshots: SnapshotStore,
        policy: SnapshotPolicy,
        clock: Clock,
    ) -> None:
        self._workers, self._recording, self._store = workers, recording, store
        self._snapshots, self._policy, self._clock = snapshots, policy, clock
        self._newest: dict[tuple[str, int], Snapshot | None] = {}
        self._not_before: dict[tuple[str, int], float] = {}
        self._stop = threading.Event()
        metrics.SNAPSHOT_INTERVAL.set(policy.interval)

    def run(self) -> None:
        """Look every LOOK_SECONDS until ``stop``."""
        task = BackgroundTask("snapshots")
        while not self._stop.wait(task.pause(LOOK_SECONDS)):
            with task.step():
                self.look()

    def start(self) -> None:
        """Run in a daemon thread. It may end at any moment, because a snapshot exists once it is published."""
        threading.Thread(target=self.run, name="snapshots", daemon=True).start()

    def stop(self) -> None:
        """End ``run`` at its next look, and a snapshot under way soon."""
        self._stop.set()

    def look(self) -> None:
        """Take the snapshots that are due."""
        workers = [worker for worker in self._workers() if worker.opened]
        kept = {(worker.topic, worker.partition) for worker in workers}
        for topic, partition in self._newest.keys() - kept:
            # Another process keeps it now. A gauge that stays here would grow old.
            del self._newest[topic, partition]
            with suppress(KeyError):
                metrics.SNAPSHOT_AGE.remove(topic, str(partition))
        for worker in workers:
            if self._stop.is_set():
                return
            try:
                self._look_at(worker)
            except (SnapshotAbandoned, SnapshotsUnavailable, StoreUnavailable, ValueCorrupt) as error:
                self._failed(worker, error)

    def _look_at(self, worker: PartitionWorker) -> None:
        key, now = (worker.topic, worker.partition), self._clock()
        if now < self._not_before.get(key, 0.0):
            return
        if key not in self._newest:
            self._newest[key] = self._find_newest(worker)
        newest = self._newest[key]
        changed = newest is None or newest.next_offset < worker.position
        age = self._policy.max_age if newest is None else now - newest.created_at
        metrics.SNAPSHOT_AGE.labels(worker.topic, str(worker.partition)).set(age if changed and newest else 0.0)
        if worker.position > 0 and age >= (self._policy.interval if changed else self._policy.max_age / 2):
            self._newest[key] = self._take(worker)
            self._remove_old(worker.topic, worker.partition)

    def _find_newest(self, worker: PartitionWorker) -> Snapshot | None:
        found = self._snapshots.snapshots(worker.topic, worker.partition)
        return next((snapshot for snapshot in found if snapshot.log_id == worker.log_id), None)

    def _take(self, worker: PartitionWorker) -> Snapshot:
        began = self._clock()
        snapshot = take_snapshot(
            self._recording, self._store, self._snapshots, worker.topic, worker.partition, worker.log_id or "", began
        )
        metrics.SNAPSHOTS.labels(worker.topic, "taken").inc()
        metrics.SNAPSHOT_SECONDS.labels(worker.topic).observe(max(0.0, self._clock() - began))
        metrics.SNAPSHOT_AGE.labels(worker.topic, str(worker.partition)).set(0.0)
        return snapshot

    def _remove_old(self, topic: str, partition: int) -> None:
        now = self._clock()
        for number, snapshot in enumerate(self._snapshots.snapshots(topic, partition)):
            if number >= self._policy.keep or now - snapshot.created_at > self._policy.max_age:
                self._snapshots.delete(topic, partition, snapshot.snapshot_id)
        self._snapshots.delete_unpublished(topic, partition, now - UNPUBLISHED_SECONDS)

    def _failed(self, worker: PartitionWorker, error: Exception) -> None:
        outcome = "abandoned" if isinstance(error, SnapshotAbandoned) else "failed"
        log.warning(
            "snapshot_not_taken", outcome=outcome, topic=worker.topic, partition=worker.partition, error=str(error)
        )
        metrics.SNAPSHOTS.labels(worker.topic, outcome).inc()
        self._not_before[worker.topic, worker.partition] = self._clock() + RETRY_SECONDS


def take_snapshot(
    recording: RecordingStore,
    store: SignalStore,
    snapshots: SnapshotStore,
    topic: str,
    partition: int,
    log_id: str,
    now: float,
) -> Snapshot:
    """Copy the signals of one partition. Raises SnapshotAbandoned, SnapshotsUnavailable, StoreUnavailable.

    ``users`` is read before ``aggregates``, because values of ``aggregates`` that are older than those of ``users`` may
    lack entries that ``users`` has dropped since.
    """
    snapshot_id = f"{int(now * 1_000):015d}-{uuid4().hex[:8]}"
    files = {}
    try:
        for signal in SIGNALS[topic]:
            capture = Capture(recording, store, partition, signal)
            files[str(signal)] = snapshots.write_values(
                topic, partition, snapshot_id, signal, capture.rows(log_id), capture.offset
            )
    except BaseException:
        snapshots.delete(topic, partition, snapshot_id)
        raise
    snapshot = Snapshot(
        snapshot_id=snapshot_id,
        topic=topic,
        partition=partition,
        log_id=log_id,
        created_at=now,
        code_version=version("freshet"),
        files=files,
    )
    snapshots.publish(snapshot)
    return snapshot
