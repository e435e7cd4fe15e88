"""Snapshots of signals in a real Redis, taken while events are folded into it."""

from __future__ import annotations

import random
import threading
import time
from datetime import UTC, datetime

import pytest
import redis
import stamina

from adapters.parquet.snapshots import ParquetSnapshots
from adapters.redis.signals import RedisSignalStore
from adapters.sqlite.log import SqliteLogReader, SqliteLogWriter
from nearline import metrics
from nearline.loop import EmbeddedLoop
from nearline.recovery.archive_reader import no_archive
from nearline.recovery.verify import verify
from nearline.snapshots.recording import RecordingStore
from nearline.snapshots.recovery import SnapshotRecovery
from nearline.snapshots.taking import take_snapshot
from schemas.errors import SnapshotAbandoned
from schemas.events import LoggedEvent
from schemas.log import topics
from schemas.log.codec import encode_event
from schemas.log.records import LogEntry
from schemas.snapshots import Snapshot

pytestmark = pytest.mark.stack
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def events(first: int, count: int) -> list[LogEntry]:
    chance = random.Random(first)
    made = []
    for number in range(first, first + count):
        user, item = f"user{chance.randrange(60)}", f"item{chance.randrange(40)}"
        event = LoggedEvent(
            event_id=f"e{number}", type="click", user_id=user, item_id=item, occurred_at=NOW, received_at=NOW
        )
        made.append(LogEntry(user.encode(), encode_event(event)))
    return made


@pytest.mark.timeout(120)
def test_a_snapshot_taken_under_traffic_brings_an_emptied_redis_back_to_a_plain_fold(redis_url, site, tmp_path):
    writer, reader = SqliteLogWriter(tmp_path, 2), SqliteLogReader(tmp_path)
    writer.append(topics.EVENTS, events(0, 600)).result(timeout=20)

    def open_store() -> RedisSignalStore:
        return RedisSignalStore(redis_url, f"{site}:")

    recording, snapshots = RecordingStore(open_store()), ParquetSnapshots(str(tmp_path / "snapshots"), site)
    stop = threading.Event()

    def follow(store, recovery=None) -> EmbeddedLoop:
        loop = EmbeddedLoop(SqliteLogReader(tmp_path), store, lambda *_: None, time.time, recovery=recovery)
        threading.Thread(target=loop.run, args=(stop,), daemon=True).start()
        return loop

    @stamina.retry(on=SnapshotAbandoned, attempts=5, wait_initial=0.05)
    def take(partition: int) -> Snapshot:
        """A commit that was under way when the copy began ends it; a later one is whole."""
        return take_snapshot(recording, open_store(), snapshots, topics.EVENTS, partition, reader.log_id("events"), 1.0)

    def traffic() -> None:
        for number in range(600, 1_400, 20):
            writer.append(topics.EVENTS, events(number, 20)).result(timeout=20)
            time.sleep(0.01)

    try:
        loop = follow(recording)
        _wait(loop, reader, open_store())
        sending = threading.Thread(target=traffic)
        sending.start()
        taken = [take(partition) for partition in range(2)]
        sending.join()
        _wait(loop, reader, open_store())
    finally:
        stop.set()
    with redis.Redis.from_url(redis_url) as client:
        client.delete(*client.keys(f"{site}:*"))
    stop = threading.Event()
    applied = metrics.EVENTS.labels(topics.EVENTS, "applied")._value.get()
    try:
        recovered = follow(open_store(), SnapshotRecovery(snapshots, open_store, no_archive))
        _wait(recovered, reader, open_store())
    finally:
        stop.set()
    assert metrics.EVENTS.labels(topics.EVENTS, "applied")._value.get() - applied < 1_400 - 500
    assert all(snapshot.files["users"].offset > 100 for snapshot in taken)
    with redis.Redis.from_url(redis_url) as client:
        assert [key for key in client.keys(f"{site}:*") if b"loading" in key or client.ttl(key) != -1] == []
    report = verify(reader, open_store(), [topics.EVENTS])
    assert report.equal
    assert report.values > 100


def _wait(loop: EmbeddedLoop, reader: SqliteLogReader, store: RedisSignalStore) -> None:
    """Waits until both signals have every event."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        fences = [
            (store.fence(p, s), reader.bounds(topics.EVENTS, p)[1]) for p in range(2) for s in ("users", "aggregates")
        ]
        if loop.caught_up() and all(fence and fence.offset == end - 1 for fence, end in fences):
            return
        time.sleep(0.02)
    pytest.fail("the log was not applied")
