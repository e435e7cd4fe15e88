"""Checks that lost signals come back, and those that were let go: snapshots of the signals, and the archive of the log."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from deploy.commands.checks.setup import Check, note, ok, run_check
from deploy.wiring.dependencies import Dependencies
from schemas.configuration.settings import SharedSettings
from schemas.log import topics
from schemas.ports import Archive, LogReader, SnapshotStore

OLD_INTERVALS: Final = 4
"""Number of intervals after which a snapshot of a changed partition is too old; as in the alert FreshetOldSnapshot."""
UNARCHIVED: Final = 100_000
"""Number of records after which the archive is said to be behind."""


def of_cluster(dependencies: Dependencies, settings: SharedSettings, now: float) -> Iterator[Check]:
    """The checks of a cluster's snapshots and archive."""
    snapshots_check = partial(_snapshots_of, dependencies, settings, now)
    yield run_check("snapshots", snapshots_check)
    yield run_check("archive", lambda: archive(dependencies.reader, dependencies.archive))


def _snapshots_of(dependencies: Dependencies, settings: SharedSettings, now: float) -> Check:
    if dependencies.snapshots is None:
        return note(
            "snapshots",
            "none are taken, so a lost Redis is folded anew from the archive and the log",
            "set FRESHET_SNAPSHOTS to a folder or address that every worker reaches",
        )
    return snapshots(dependencies.reader, dependencies.snapshots, 60.0 * settings.snapshot_minutes, now)


def snapshots(reader: LogReader, store: SnapshotStore, interval: float, now: float) -> Check:
    """Checks that every partition with records has a snapshot that is not too old for what came after it."""
    missing, oldest, count = 0, 0.0, 0
    for topic in topics.FACTS:
        log_id = reader.log_id(topic)
        for partition in range(reader.partitions(topic)):
            _, end = reader.bounds(topic, partition)
            found = [snapshot for snapshot in store.snapshots(topic, partition) if snapshot.log_id == log_id]
            count += len(found)
            missing += end > 0 and not found
            if found and found[0].next_offset < end:
                oldest = max(oldest, now - found[0].created_at)
    advice = f"see that the workers run with FRESHET_SNAPSHOTS={store.name}, and what they log as snapshot_not_taken"
    if missing:
        return note("snapshots", f"{missing} partitions have none at {store.name}", advice)
    if oldest > OLD_INTERVALS * interval:
        return note("snapshots", f"the newest of a partition is {oldest / 60:.0f} minutes old", advice)
    return ok("snapshots", f"{count} at {store.name}, every partition has a recent one")


def archive(reader: LogReader, store: Archive) -> Check:
    """Checks that the archive follows the log."""
    waiting, records = 0, 0
    for topic in topics.FACTS:
        log_id = reader.log_id(topic)
        ends = {r.partition: r.end for r in store.ranges(topic) if r.log_id == log_id}
        records += sum(ends.values())
        for partition in range(reader.partitions(topic)):
            begin, end = reader.bounds(topic, partition)
            waiting += max(0, end - max(begin, ends.get(partition, 0)))
    if waiting > UNARCHIVED or (waiting and not records):
        return note(
            "archive",
            f"{waiting:,} records of the log are not in it",
            "let `freshet schedule` run (it archives every ten minutes), or run `freshet archive`",
        )
    return ok("archive", f"{records:,} records")


def idle_guests(reader: LogReader, store: Archive, days: int) -> Check:
    """Checks that the archive holds each partition from its first record on. Without that no value of a guest is let go."""
    log_id, partitions = reader.log_id(topics.EVENTS), range(reader.partitions(topics.EVENTS))
    filled = [partition for partition in partitions if reader.bounds(topics.EVENTS, partition)[1] > 0]
    missing = [partition for partition in filled if not store.complete_end(topics.EVENTS, log_id, partition)]
    if missing:
        named = ", ".join(map(str, missing[:5]))
        return note(
            "idle guests",
            f"all stay in the signal store in {len(missing)} partitions ({named}), whose first events are not in the archive",
            "run `freshet archive`; if retention has removed these events, set FRESHET_IDLE_GUEST_DAYS=0",
        )
    return ok(
        "idle guests", f"after {days} days without events they leave the signal store, and return from the archive"
    )
