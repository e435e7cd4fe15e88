"""Events per second and CPU seconds per event of nearline workers, compared with a bare Faust loop that only counts.

Both use the same topic, partitions and machine, with real Kafka and Redis. ``backlog`` are events that are on the log before
a worker starts. ``live`` are events that arrive while it runs, all at once. An event is done when both signals are committed.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from adapters.kafka.log import KafkaLogReader, create_topics
from adapters.redis.signals import RedisSignalStore
from deploy.config import CommandSettings
from deploy.processes import cluster
from deploy.processes.supervisor import Service
from schemas.configuration import site
from schemas.keys import Signal
from schemas.log import topics
from tests.bench import traffic
from tests.bench.results import Figures, console
from tests.bench.system import cpu_seconds, servers, supervised
from tests.e2e.systems import eventually, free_port

EVENTS = 50_000
ROUNDS = 2
"""Number of rounds. A round is the bare loop, one worker, then two workers."""
_FLEETS = ((1, "one_worker"), (2, "two_workers"))
_SECONDS = 180.0
_COUNTED = re.compile(r"counted in (\S+) s, (\S+) CPU s")


class Cost(NamedTuple):
    """The cost of a number of events."""

    events: int
    seconds: float
    cpu_seconds: float

    def figures(self) -> dict[str, float]:
        """Returns the figures for a table."""
        return {
            "events_per_second": round(self.events / self.seconds),
            "cpu_us_per_event": round(1e6 * self.cpu_seconds / self.events),
        }


def measure() -> Figures:
    found: dict[str, list[Cost]] = {}
    with servers(("kafka", "redis")) as (settings, folder):
        create_topics(settings.kafka, site.topic_prefix(settings.prefix), settings.partitions)
        for number in range(ROUNDS):
            traffic.produce(settings.kafka, settings.prefix, EVENTS, 10 * number)
            found.setdefault("bare", []).append(_bare(settings, folder))
            # Rounds alternate, because stored values grow from run to run, and an event costs more if its counters are full.
            for workers, name in _FLEETS[:: 1 if number % 2 == 0 else -1]:
                backlog, live = _freshet(settings, folder, workers, 10 * number + workers)
                found.setdefault(f"{name}_backlog", []).append(backlog)
                found.setdefault(f"{name}_live", []).append(live)
                console.print(f"{name}: {live.figures()}")
    return Figures("cluster", _told(found))


def _told(found: dict[str, list[Cost]]) -> dict[str, Any]:
    told: dict[str, Any] = {name: [cost.figures() for cost in costs] for name, costs in found.items()}
    rate = {name: fmean(each.events / each.seconds for each in costs) for name, costs in found.items()}
    cpu = {name: fmean(each.cpu_seconds / each.events for each in costs) for name, costs in found.items()}
    for name in ("backlog", "live"):
        told[f"one_worker_{name}_share_of_bare"] = round(rate[f"one_worker_{name}"] / rate["bare"], 3)
        told[f"two_workers_{name}_cpu_of_one"] = round(cpu[f"two_workers_{name}"] / cpu[f"one_worker_{name}"], 3)
    return told


def _bare(settings: CommandSettings, folder: Path) -> Cost:
    topic = topics.topic_name(topics.EVENTS, site.topic_prefix(settings.prefix))
    environment = {
        "FRESHET_KAFKA": settings.kafka,
        "FRESHET_WORKER_DIR": str(folder / "counting"),
        "TOPIC": topic,
        "COUNT": str(EVENTS),
    }
    with supervised(
        [Service("counting", "tests.bench.counting", environment)], folder / f"{time.time_ns()}"
    ) as running:
        log = running.log_of("counting")
        [told] = eventually(lambda: _COUNTED.findall(log.read_text()), _SECONDS, "the bare loop has counted")
    cost = Cost(EVENTS, *map(float, told))
    console.print(f"bare: {cost.figures()}")
    return cost


def _freshet(settings: CommandSettings, folder: Path, workers: int, seed: int) -> tuple[Cost, Cost]:
    """Returns the cost of a backlog, and then of as many live events, for this number of workers."""
    ports = cluster.Ports(workers_from=free_port())
    services = [each for each in cluster.services(settings, ports, workers, folder) if each.name.startswith("worker")]
    traffic.produce(settings.kafka, settings.prefix, EVENTS, 100 + seed)
    with followed(settings) as log, supervised(services, folder / f"{time.time_ns()}") as running:
        pids = [running.pid(each.name) for each in services]
        before = log.applied()
        # The start of a process does not count as a cost of events.
        metrics = range(ports.workers_from + 1, ports.workers_from + workers + 1)
        eventually(lambda: all(map(_listens, metrics)), 60, "workers start")
        eventually(lambda: log.applied() > before, 60, "workers begin")
        backlog = log.until_done(pids)
        # A second worker gets no partitions before the group has rebalanced.
        time.sleep(10)
        traffic.produce(settings.kafka, settings.prefix, EVENTS, 200 + seed)
        live = log.until_done(pids)
    return backlog, live


def _listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


class Followed:
    """Reads the end of the events topic and the fences of its signals."""

    def __init__(self, settings: CommandSettings) -> None:
        self._reader = KafkaLogReader(settings.kafka, site.topic_prefix(settings.prefix))
        self._store = RedisSignalStore(settings.redis, site.key_prefix(settings.prefix))
        self._partitions = range(settings.partitions)

    def applied(self) -> int:
        """Returns the number of events that both signals have committed."""
        return sum(
            min(self._committed(partition, signal) for signal in (Signal.USERS, Signal.AGGREGATES))
            for partition in self._partitions
        )

    def end(self) -> int:
        """Returns the number of events on the log."""
        return sum(self._reader.bounds(topics.EVENTS, partition)[1] for partition in self._partitions)

    def until_done(self, pids: list[int]) -> Cost:
        """Returns the cost until all events that are on the log now are committed."""
        end = self.end()
        first, begun, used = self.applied(), time.perf_counter(), sum(map(cpu_seconds, pids))
        assert first < end, "all was committed before anything could be measured: put more EVENTS on the log"
        eventually(lambda: self.applied() >= end, _SECONDS, "all is committed")
        return Cost(end - first, time.perf_counter() - begun, sum(map(cpu_seconds, pids)) - used)

    def close(self) -> None:
        self._reader.close()
        self._store.close()

    def _committed(self, partition: int, signal: Signal) -> int:
        fence = self._store.fence(partition, signal)
        return fence.offset + 1 if fence is not None else 0


@contextmanager
def followed(settings: CommandSettings) -> Iterator[Followed]:
    log = Followed(settings)
    try:
        yield log
    finally:
        log.close()
