"""Loads the newest usable snapshot of a partition whose fences are missing, in a thread beside the workers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import chain

import structlog

from nearline import metrics
from nearline.processor import SIGNALS
from nearline.recovery.archive_reader import ArchiveReader
from schemas.errors import FenceMoved, FreshetError, SnapshotsUnavailable, SnapshotUnusable, StoreUnavailable
from schemas.ports import Replacement, SignalStore, SnapshotStore
from schemas.snapshots import Snapshot

Batch = dict[str, bytes | None]

log = structlog.get_logger()


class SnapshotLoading(StoreUnavailable):
    """The snapshot of this partition is being loaded; the worker waits for it."""


class SnapshotRecovery:
    """Loads snapshots for the workers of one process. ``open_store`` opens a connection for each load."""

    def __init__(self, snapshots: SnapshotStore, open_store: Callable[[], SignalStore], archive: ArchiveReader) -> None:
        self._snapshots, self._open_store, self._archive = snapshots, open_store, archive
        self._loads: dict[tuple[str, int], _Load] = {}
        self._one_at_a_time = threading.Lock()

    def require_loaded(self, topic: str, partition: int, log_id: str, bounds: tuple[int, int]) -> None:
        """Return once the newest usable snapshot is in the store, or if there is none.

        The first call for a partition begins the load. Raises SnapshotLoading until it has ended, SnapshotsUnavailable if
        the snapshots cannot be read and the log no longer begins at offset 0, StoreUnavailable.
        """
        key = topic, partition
        load = self._loads.get(key)
        if load is None:
            load = self._loads[key] = _Load(lambda: self._load(topic, partition, log_id, bounds), self._one_at_a_time)
        if not load.ended.is_set():
            raise SnapshotLoading(f"the snapshot of partition {partition} of {topic} is being loaded")
        del self._loads[key]
        if load.error is not None:
            raise load.error

    def _load(self, topic: str, partition: int, log_id: str, bounds: tuple[int, int]) -> None:
        try:
            candidates = self._usable(topic, partition, log_id, bounds)
            store = self._open_store()
            try:
                self._load_first(store, topic, partition, candidates)
            finally:
                store.close()
        except SnapshotsUnavailable as error:
            metrics.SNAPSHOTS.labels(topic, "unreadable").inc()
            if bounds[0] > 0:  # the log alone does not hold everything, so a snapshot is worth waiting for
                raise
            log.warning("snapshots_unreadable", topic=topic, partition=partition, error=str(error))

    def _usable(self, topic: str, partition: int, log_id: str, bounds: tuple[int, int]) -> Iterator[Snapshot]:
        """Yields the snapshots of this log after which log or archive hold every record, newest first."""
        begin, end = bounds
        for snapshot in self._snapshots.snapshots(topic, partition):
            if set(snapshot.files) != {str(signal) for signal in SIGNALS[topic]} or snapshot.log_id != log_id:
                continue
            if all(file.offset < end for file in snapshot.files.values()) and self._is_continued(snapshot, begin):
                yield snapshot

    def _is_continued(self, snapshot: Snapshot, begin: int) -> bool:
        first = snapshot.next_offset
        if first >= begin:
            return True
        record = next(self._archive(snapshot.topic, snapshot.partition, first, begin), None)
        return record is not None and record.offset == first

    def _load_first(self, store: SignalStore, topic: str, partition: int, candidates: Iterator[Snapshot]) -> None:
        for snapshot in candidates:
            try:
                self._put(store, snapshot)
            except SnapshotUnusable as error:
                log.warning("snapshot_refused", topic=topic, partition=partition, error=str(error))
                metrics.SNAPSHOTS.labels(topic, "refused").inc()
                continue
            except FenceMoved:
                return  # another worker was faster
            log.warning(
                "snapshot_loaded", topic=topic, partition=partition, snapshot=snapshot.snapshot_id, rows=snapshot.rows
            )
            metrics.SNAPSHOTS.labels(topic, "loaded").inc()
            return

    def _put(self, store: SignalStore, snapshot: Snapshot) -> None:
        """Put all signals of the snapshot into the store in one step, once every file was found whole."""
        signals = SIGNALS[snapshot.topic]
        batches = [_begun(self._snapshots.values(snapshot, signal)) for signal in signals]
        store.replace(
            snapshot.partition,
            [
                Replacement(signal, None, snapshot.fence(signal), values)
                for signal, values in zip(signals, batches, strict=True)
            ],
        )


def _begun(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Returns the same batches, of which the first is already read. Raises SnapshotUnusable."""
    return chain([next(batches, {})], batches)


class _Load:
    """One load in a daemon thread. It may end with the process at any moment, because ``replace`` is one step."""

    def __init__(self, work: Callable[[], None], one_at_a_time: threading.Lock) -> None:
        self.ended = threading.Event()
        self.error: FreshetError | None = None
        self._work, self._one_at_a_time = work, one_at_a_time
        threading.Thread(target=self._run, name="snapshot-load", daemon=True).start()

    def _run(self) -> None:
        try:
            with self._one_at_a_time:
                self._work()
        except FreshetError as error:
            self.error = error
        except Exception as error:
            log.exception("snapshot_load_failed")
            self.error = StoreUnavailable(f"a snapshot could not be loaded: {error!r}")
        finally:
            self.ended.set()
