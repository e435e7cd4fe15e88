"""Freshness: from an event's intended send time to the first answer whose ``signals_offset`` includes it.

Open loop at rising rates on the real stack: collector, Kafka, a Faust worker, Redis, online API. Every event is sent at its
intended time. After one event in ten, the client reads with ``after=`` its token, as a page does. The client shares the
machine with the stack. Earlier events are on the log when the processes start. No model is trained, because
``tests.bench.serving`` measures what a model adds to an answer. The same load runs through ``tests.bench.chain``, which
only passes events on. Its time is the share of the servers, of Faust and of the machine.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import uvloop

from adapters.kafka.log import create_topics
from deploy.config import CommandSettings
from deploy.processes.cluster import Cluster
from schemas.configuration import site
from tests.bench import chain, traffic
from tests.bench.load import Lean, open_loop
from tests.bench.results import Figures, console, percentiles
from tests.bench.system import cpu_seconds, processes, servers, supervised
from tests.e2e.systems import call, eventually, free_port

RATES = (100.0, 200.0, 300.0, 500.0)
READ_ONE_IN = 10
SECONDS = 20.0
WARM_UP_SECONDS = 20.0
WORKERS = 1
"""Number of workers. Two workers use more of two cores, and take longer for an event."""
BEFORE = 100_000
"""Events on the log before the processes start."""
BUCKETS_MS = (2, 5, 10, 20, 50, 100, 200, 500, 1_000)


def measure() -> Figures:
    with servers() as (settings, folder):
        bare = _bare(settings, folder)
        traffic.produce(settings.kafka, settings.prefix, BEFORE, 1)
        with processes(settings, folder, WORKERS) as running:
            _catalogue(running.collector)
            found = _found(running)
    return Figures("cluster", {"read_one_in": READ_ONE_IN, "workers": WORKERS, **found, "bare_chain": bare})


def _bare(settings: CommandSettings, folder: Path) -> dict[str, Any]:
    create_topics(settings.kafka, site.topic_prefix(chain.PREFIX))
    ports = free_port(), free_port()
    collector, api = (f"http://127.0.0.1:{port}" for port in ports)
    with supervised(chain.services(settings, folder, *ports), folder / "chain") as supervisor:
        return _found(Cluster(supervisor, api, collector))


def _found(running: Cluster) -> dict[str, Any]:
    first = {"type": "view", "user_id": "first", "item_id": "item-1"}
    eventually(lambda: _counts(running.collector, running.api, first), 300, "the first event counts")
    uvloop.run(_run(running, RATES[0], WARM_UP_SECONDS))
    return {f"{rate:g}_events_per_second": _measured(running, rate) for rate in RATES}


def _measured(running: Cluster, rate: float) -> dict[str, Any]:
    console.print(f"{rate:g} events/s for {SECONDS:g} s ...")
    used, own, begun = _used(running), time.process_time(), time.perf_counter()
    counted, missed, failed = uvloop.run(_run(running, rate, SECONDS))
    elapsed = time.perf_counter() - begun
    cores = {name: round((now - used[name]) / elapsed, 2) for name, now in _used(running).items()}
    cores["client"] = round((time.process_time() - own) / elapsed, 2)
    told: dict[str, Any] = {"not_counted_in_time": missed, "failed": failed, "cores": cores}
    return {**percentiles(counted), **told, "histogram": _histogram(counted)} if counted else told


def _used(running: Cluster) -> dict[str, float]:
    """Returns the CPU seconds that each of our processes has used."""
    return {name: cpu_seconds(running.supervisor.pid(name)) for name in running.supervisor.names}


def _histogram(seconds: list[float]) -> dict[str, int]:
    """Returns a histogram: the number of events in each bucket, by the upper bound of the bucket."""
    places = np.searchsorted(BUCKETS_MS, np.asarray(seconds) * 1_000)
    counts = np.bincount(places, minlength=len(BUCKETS_MS) + 1).tolist()
    return dict(zip([*(f"up_to_{each}_ms" for each in BUCKETS_MS), "longer"], counts, strict=True))


async def _run(running: Cluster, rate: float, duration: float) -> tuple[list[float], int, int]:
    """Seconds until each event counted, the number of events that their answer lacked, and the number of failed requests."""
    collector, api = (int(address.rpartition(":")[2]) for address in (running.collector, running.api))
    bodies, client = traffic.events(2), Lean()
    counted: list[float] = []
    missed = failed = 0

    async def one(number: int, intended: float) -> None:
        nonlocal failed
        try:
            await ask(number, intended)
        except (OSError, asyncio.IncompleteReadError):
            failed += 1

    async def ask(number: int, intended: float) -> None:
        nonlocal missed, failed
        event = next(bodies)
        status, told = await client.ask(collector, "POST /v1/events HTTP/1.1\r\n", orjson.dumps(event))
        if status != 202:
            failed += 1
            return
        token = orjson.loads(told)["results"][0]["offset"]
        if number % READ_ONE_IN:
            return
        path = f"/v1/users/{event['user_id']}/recommendations?after={token}"
        _, answer = await client.ask(api, f"GET {path} HTTP/1.1\r\n")
        if _includes(orjson.loads(answer), token):
            counted.append(time.perf_counter() - intended)
        else:
            missed += 1

    await open_loop(one, rate, duration)
    client.close()
    return counted, missed, failed


def _includes(answer: dict[str, Any], token: str) -> bool:
    """True if an answer includes this event. An answer with a later event of the same user includes it too."""
    offset = answer.get("signals_offset")
    return offset is not None and int(offset.partition(":")[2]) >= int(token.partition(":")[2])


def _counts(collector: str, api: str, event: dict[str, str]) -> bool:
    try:
        status, answer = call(f"{collector}/v1/events", event)
    except OSError:
        return False
    if status != 202:
        return False
    token = answer["results"][0]["offset"]
    return _includes(call(f"{api}/v1/users/{event['user_id']}/recommendations?after={token}")[1], token)


def _catalogue(collector: str) -> None:
    items = [{"item_id": f"item-{n}", "title": f"Item {n}", "categories": [f"c{n % 20}"]} for n in range(traffic.ITEMS)]
    for begin in range(0, traffic.ITEMS, 1_000):
        status, answer = call(f"{collector}/v1/items", items[begin : begin + 1_000])
        assert status == 202, answer
