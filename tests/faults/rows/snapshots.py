"""Redis loses everything while snapshots are taken; the newest ones are damaged now and then."""

from __future__ import annotations

import redis

from adapters.parquet.snapshots import ParquetSnapshots
from schemas.log import topics
from tests.faults.run import Fault, Run

MINUTES = 0.05
"""Pause between two snapshots of a partition."""


def flush_beside_snapshots(run: Run) -> None:
    place = run.world.folder / "snapshots"
    for name in run.world.folding:
        worker = run.world.processes[name]
        worker.environment |= {"FRESHET_SNAPSHOTS": str(place), "FRESHET_SNAPSHOT_MINUTES": str(MINUTES)}
        worker.stop()
        worker.start()
        run.recover()
    store = ParquetSnapshots(str(place), run.world.settings.prefix)
    partitions = range(run.world.settings.partitions)
    with redis.Redis.from_url(run.world.settings.redis) as client:
        for number in run.repeat():
            run.world.wait_until(
                lambda: all(store.snapshots(topics.EVENTS, partition) for partition in partitions),
                120,
                "every partition has a snapshot",
            )
            run.pause(2.0, 6.0)
            if number % 2:
                _damage_newest(store, run, place)
            client.flushall()
            run.recover()
    loaded = sum(process.log.read_text().count("snapshot_loaded") for process in run.world.processes.values())
    run.expect(loaded, "no worker loaded a snapshot")
    run.notes.append(f"{loaded} snapshots were loaded")


def _damage_newest(store: ParquetSnapshots, run: Run, place) -> None:
    """Cut the files of the newest snapshot of one partition."""
    partition = run.random.randrange(run.world.settings.partitions)
    newest = store.snapshots(topics.EVENTS, partition)[0]
    for path in place.rglob(f"{newest.snapshot_id}/*.parquet"):
        path.write_bytes(path.read_bytes()[:-7])


FAULTS = [
    Fault(
        10,
        "redis-flushed-beside-snapshots",
        "`FLUSHALL` of Redis under load, with snapshots, some of them damaged",
        "loaded from the newest whole snapshot, equal to a plain fold",
        flush_beside_snapshots,
        repetitions=4,
        stacks=("cluster",),
    ),
]
