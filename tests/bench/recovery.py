"""How long a lost Redis takes to come back, with snapshots and without, on real Kafka and Redis under two workers.

Events are folded, a snapshot of each partition is taken, and some more events follow. Then Redis is emptied. A recovery ends when every
signal has every event again. Each time, all values are compared with a fold of the log, byte for byte.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import redis

from adapters.kafka.log import create_topics
from adapters.parquet.snapshots import ParquetSnapshots
from deploy.config import CommandSettings
from deploy.processes import cluster
from deploy.processes.supervisor import Service
from deploy.wiring.dependencies import open_dependencies
from nearline.recovery.verify import verify
from schemas.configuration import site
from schemas.log import topics
from schemas.snapshots import Snapshot
from tests.bench import traffic
from tests.bench.results import Figures, console
from tests.bench.system import cpu_seconds, servers, supervised
from tests.bench.worker import Followed, followed
from tests.e2e.systems import eventually, free_port

EVENTS: Final = int(os.environ.get("FRESHET_BENCH_EVENTS", "400000"))
"""Number of events before the snapshots."""
LATER: Final = EVENTS // 20
"""Number of events after them."""
WORKERS: Final = 2
_SECONDS: Final = 1_800.0


def measure() -> Figures:
    with servers(("kafka", "redis")) as (settings, folder):
        create_topics(settings.kafka, site.topic_prefix(settings.prefix), settings.partitions)
        traffic.produce(settings.kafka, settings.prefix, EVENTS, 1)
        place = folder / "snapshots"
        figures: dict[str, Any] = {"events": EVENTS, "events_after_the_snapshot": LATER, "workers": WORKERS}
        with followed(settings) as log:
            with _workers(settings, folder, None):
                figures["first_fold_s"] = _applied(log)
            # A worker that starts takes its first snapshots at once: now they have every event.
            with _workers(settings, folder, place) as pids:
                figures |= _taken(settings, place, pids)
                traffic.produce(settings.kafka, settings.prefix, LATER, 2)
                _applied(log)
                figures |= _recovered(settings, log, "with_snapshots")
            with _workers(settings, folder, None):
                figures |= _recovered(settings, log, "without_snapshots")
        figures["load_average"] = [round(load, 1) for load in os.getloadavg()]
        return Figures("cluster", figures)


@contextmanager
def _workers(settings: CommandSettings, folder: Path, place: Path | None) -> Iterator[list[int]]:
    """Runs the workers; yields their process ids."""
    given = {"FRESHET_SNAPSHOTS": str(place), "FRESHET_SNAPSHOT_MINUTES": "60"} if place else {}
    ports = cluster.Ports(workers_from=free_port())
    services = [
        Service(each.name, each.module, {**each.environment, **given})
        for each in cluster.services(settings, ports, WORKERS, folder)
        if each.name.startswith("worker")
    ]
    with supervised(services, folder / f"{time.time_ns()}") as running:
        yield [running.pid(each.name) for each in services]


def _applied(log: Followed) -> float:
    """Returns the seconds until all events are applied."""
    began = time.perf_counter()
    eventually(lambda: log.applied() >= log.end(), _SECONDS, "all is applied")
    return round(time.perf_counter() - began, 1)


def _taken(settings: CommandSettings, place: Path, pids: list[int]) -> dict[str, Any]:
    """Waits until each partition has a snapshot of all its events; returns what they cost."""
    began, used = time.perf_counter(), sum(map(cpu_seconds, pids))
    store = ParquetSnapshots(str(place), settings.prefix)

    def whole() -> list[Snapshot] | None:
        newest = [store.snapshots(topics.EVENTS, partition) for partition in range(settings.partitions)]
        return [found[0] for found in newest] if all(newest) else None

    snapshots = eventually(whole, _SECONDS, "snapshots are taken")
    return {
        "snapshots_s": round(time.perf_counter() - began, 1),
        "snapshots_cpu_s": round(sum(map(cpu_seconds, pids)) - used, 2),
        "snapshots_mib": round(sum(f.bytes for s in snapshots for f in s.files.values()) / 2**20, 1),
        "values": sum(snapshot.rows for snapshot in snapshots),
    }


def _recovered(settings: CommandSettings, log: Followed, name: str) -> dict[str, Any]:
    """Empties Redis; returns the seconds until everything is back, and how many values differ from a fold of the log."""
    address = urlsplit(settings.redis)
    with redis.Redis(address.hostname or "", address.port or 6379) as client:
        client.flushall()
    began = time.perf_counter()
    eventually(lambda: log.applied() >= log.end(), _SECONDS, "all is back")
    seconds = round(time.perf_counter() - began, 1)
    console.print(f"{name}: {seconds} s")
    with open_dependencies(settings) as dependencies:
        report = verify(dependencies.reader, dependencies.signals, [topics.EVENTS])
    wrong = sum(check.differences + (check.problem is not None) for check in report.checks)
    return {f"{name}_s": seconds, f"{name}_wrong": wrong, f"{name}_values": report.values}
