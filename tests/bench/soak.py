"""Memory of each process during half an hour of steady traffic.

A collector and one worker, with real Kafka and Redis. Events that are on the log before fill the worker's cache of values.
So a growth after that is a leak. FRESHET_BENCH_MINUTES sets the minutes, 30 by default.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from adapters.kafka.log import create_topics
from deploy.processes import cluster
from deploy.processes.supervisor import Supervisor
from schemas.configuration import site
from tests.bench import traffic
from tests.bench.load import Lean, open_loop
from tests.bench.results import Figures, console
from tests.bench.system import cpu_seconds, rss_mib, servers
from tests.bench.worker import followed
from tests.e2e.systems import eventually, free_port

RATE = 200
"""Events per second."""
BATCH = 20
"""Events in one request."""
BEFORE = 200_000
"""Events on the log before the worker starts."""
SAMPLE_SECONDS = 10.0
WARM_UP_SHARE = 1 / 6
"""First share of the time, which the slope leaves out."""


def measure() -> Figures:
    minutes = float(os.environ.get("FRESHET_BENCH_MINUTES", "30"))
    with servers(("kafka", "redis")) as (settings, folder):
        create_topics(settings.kafka, site.topic_prefix(settings.prefix), settings.partitions)
        traffic.produce(settings.kafka, settings.prefix, BEFORE, 1)
        ports = cluster.Ports(free_port(), free_port(), free_port())
        services = [each for each in cluster.services(settings, ports, 1, folder) if each.name != "api"]
        supervisor = Supervisor(services, folder / "logs")
        supervisor.start()
        try:
            with followed(settings) as log:
                eventually(lambda: log.applied() >= BEFORE, 900, "the worker has caught up")
                used = {each.name: cpu_seconds(supervisor.pid(each.name)) for each in services}
                samples = asyncio.run(_soak(ports.collector, supervisor, list(used), 60 * minutes))
                eventually(lambda: log.applied() >= log.end(), 60, "all is committed")
                left = log.end() - BEFORE
            cpu = {name: cpu_seconds(supervisor.pid(name)) - before for name, before in used.items()}
        finally:
            supervisor.stop()
    told = {name: _told([each[name] for each in samples]) for name in samples[0]}
    for name, seconds in cpu.items():
        told[name]["cpu_us_per_event"] = round(1e6 * seconds / left)
    return Figures("cluster", {"minutes": minutes, "events_per_second": RATE, "events": left, **told})


async def _soak(collector: int, supervisor: Supervisor, names: list[str], seconds: float) -> list[dict[str, float]]:
    samples: list[dict[str, float]] = []
    bodies = _bodies()

    client = Lean()

    async def post(_number: int, _intended: float) -> None:
        status, told = await client.ask(collector, "POST /v1/events HTTP/1.1\r\n", next(bodies))
        assert status == 202, told

    async def look() -> None:
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            samples.append({name: rss_mib(supervisor.pid(name)) for name in names})
            if len(samples) % 12 == 0:
                console.print(f"{len(samples) * SAMPLE_SECONDS / 60:g} min: {samples[-1]}")

    looking = asyncio.create_task(look())
    await open_loop(post, RATE / BATCH, seconds)
    looking.cancel()
    return samples


def _bodies() -> Iterator[bytes]:
    events = traffic.events(2)
    while True:
        yield orjson.dumps(list(itertools.islice(events, BATCH)))


def _told(rss: list[float]) -> dict[str, Any]:
    """Returns the resident memory after the warm-up, and the slope of a line fitted to it."""
    steady = np.asarray(rss[int(len(rss) * WARM_UP_SHARE) :])
    hours = np.arange(len(steady)) * SAMPLE_SECONDS / 3_600
    return {
        "first_mib": round(float(steady[0])),
        "last_mib": round(float(steady[-1])),
        "largest_mib": round(float(steady.max())),
        "slope_mib_per_hour": round(float(np.polyfit(hours, steady, 1)[0]), 1),
    }
