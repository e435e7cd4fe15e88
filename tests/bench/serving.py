"""Answers/s and CPU-seconds an answer of online API processes, on a site of 50,000 items and 100,000 people.

Real Kafka, Redis and Cassandra, the workers' own signals of as many events, a model trained by the defaults. ``first``
asks for people whose list has not been read yet, ``new`` for the same people in another visit (nothing of their answer
is kept), ``unchanged`` again and again for a few of whom nothing new is known; ``constant`` is a FastAPI route that
returns as many bytes. The client and the servers share the machine.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any, Final, NamedTuple

import uvloop

from deploy.config import Settings
from deploy.processes import cluster
from deploy.wiring.dependencies import Dependencies, open_dependencies
from deploy.wiring.training import train_in
from schemas.catalogue import Upsert, encode_upsert
from schemas.keys import Signal
from schemas.log import topics
from schemas.log.records import LogEntry
from tests.bench import traffic
from tests.bench.load import Load, bare_loop
from tests.bench.results import Figures, console, percentiles
from tests.bench.system import cpu_seconds, servers, supervised
from tests.bench.worker import followed
from tests.e2e.systems import eventually, free_port

EVENTS = 300_000
SECONDS = 5.0
ROUNDS = 3
CONNECTIONS = 16
_PEOPLE: Final = tuple(dict.fromkeys(traffic.people(3_000, 1)))
WAITING = 16
"""People who ask again and again while nothing new is known of them."""
_TIMED: Final = re.compile(r'freshet_candidates_seconds_(sum|count)\{source="(\w+)"\} (\S+)')

_CONSTANT = """
import sys, uvicorn
from fastapi import FastAPI, Response
app = FastAPI()
body = b"x" * int(sys.argv[2])

@app.get("/health/live")
async def live():
    return {}

@app.get("/constant")
async def constant():
    return Response(body, media_type="application/json")

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
"""


class Api(NamedTuple):
    """An online API process."""

    port: int
    pid: int


class Measured(NamedTuple):
    """A load, and the CPU-seconds that the processes used meanwhile."""

    load: Load
    cpu: float


def measure() -> Figures:
    before = os.getloadavg()[0]
    with servers() as (settings, folder):
        with open_dependencies(settings.model_copy(update={"data": folder})) as parts:
            _fill(parts, settings, folder)
            console.print("Training ...")
            train_in(parts, "single", force=False, progress=lambda *_: None)
        with _apis(settings, folder, 1) as [one]:
            figures = _one(one)
        with _apis(settings, folder, 2) as two:
            figures |= _two(two)
    load = {"load_average_before": round(before, 2), "load_average_after": round(os.getloadavg()[0], 2)}
    return Figures("cluster", {"items": traffic.ITEMS, "people": traffic.USERS, "events": EVENTS, **figures, **load})


def _fill(parts: Dependencies, settings: Settings, folder: Path) -> None:
    """Put the site on the log, and have it folded by workers."""
    now = datetime.now(UTC)
    console.print(f"Putting {traffic.ITEMS:,} items and {EVENTS:,} events on the log ...")
    upserts = [Upsert(id=each.pop("item_id"), op="put", fields=each, received_at=now) for each in traffic.catalogue()]
    for begin in range(0, len(upserts), 1_000):
        entries = [LogEntry(each.id.encode(), encode_upsert(each)) for each in upserts[begin : begin + 1_000]]
        parts.writer.append(topics.ITEMS, entries).result(60)
    traffic.produce(settings.kafka, settings.prefix, EVENTS, 1, now)
    console.print("Folding ...")
    services = cluster.services(settings, cluster.Ports(workers_from=free_port()), 2, folder)
    workers = [each for each in services if each.name.startswith("worker")]
    with supervised(workers, folder / "workers"), followed(settings) as log:
        eventually(lambda: log.applied() >= log.end() and _items_done(parts, settings), 1_200, "all is folded")


def _items_done(parts: Dependencies, settings: Settings) -> bool:
    partitions = range(settings.partitions)
    fences = [parts.signals.fence(partition, Signal.ITEMS) for partition in partitions]
    ends = [parts.reader.bounds(topics.ITEMS, partition)[1] for partition in partitions]
    return all(fence is not None and fence.offset + 1 >= end for fence, end in zip(fences, ends, strict=True))


def _one(api: Api) -> dict[str, Any]:
    """What one process does."""
    strangers = [each for each in dict.fromkeys(traffic.people(100_000, 2)) if each not in set(_PEOPLE)]
    first = _measured([api], lambda number: _path(strangers[number]), SECONDS)
    _touch(api)
    with urllib.request.urlopen(f"http://127.0.0.1:{api.port}{_again(0)}") as answered:
        size = len(answered.read())
    found: dict[str, list[Measured]] = {"first": [first], "constant": [], "new": [], "unchanged": []}
    with _constant(size) as constant:
        for number in range(ROUNDS):
            found["constant"].append(_measured([constant], lambda _: "/constant", SECONDS / 2))
            found["new"].append(_measured([api], _new(f"one-{number}"), SECONDS))
            found["unchanged"].append(_measured([api], _again, SECONDS))
    figures: dict[str, Any] = {"answer_bytes": size, "source_us": _sources(api)}
    for name, each in found.items():
        figures |= _told(name, each)
    return figures


def _two(apis: list[Api]) -> dict[str, Any]:
    """What two processes do together, in turn with one of them alone, so that both meet the same machine."""
    for api in apis:
        _touch(api)
    alone, both = [], []
    for number in range(ROUNDS):
        alone.append(_measured(apis[:1], _new(f"alone-{number}"), SECONDS))
        both.append(_measured(apis, _new(f"both-{number}"), SECONDS))
    figures = {**_told("one_of_two", alone), **_told("two_processes", both)}
    ratio = figures["two_processes_cpu_ms"] / figures["one_of_two_cpu_ms"]
    return {**figures, "two_processes_cpu_of_one": round(ratio, 3)}


def _sources(api: Api) -> dict[str, float]:
    """What each source of candidates took, on average over the lists that were timed."""
    with urllib.request.urlopen(f"http://127.0.0.1:{api.port}/metrics") as answered:
        found = {(what, name): float(value) for what, name, value in _TIMED.findall(answered.read().decode())}
    counted = {name: count for (what, name), count in found.items() if what == "count" and count}
    return {name: round(1e6 * found["sum", name] / count, 1) for name, count in counted.items()}


def _touch(api: Api) -> None:
    """Ask for everybody once, so that their lists are in memory."""
    for person in _PEOPLE:
        with urllib.request.urlopen(f"http://127.0.0.1:{api.port}{_path(person)}") as answered:
            answered.read()


def _path(person: str) -> str:
    return f"/v1/users/{person}/recommendations"


def _new(visit: str) -> Callable[[int], str]:
    """Everybody in turn, each time in another visit: no list has been made before."""
    return lambda number: f"{_path(_PEOPLE[number % len(_PEOPLE)])}?session_id={visit}-{number}"


def _again(number: int) -> str:
    return _path(_PEOPLE[number % WAITING])


def _measured(apis: Sequence[Api], path: Callable[[int], str], seconds: float) -> Measured:
    used = sum(cpu_seconds(each.pid) for each in apis)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        load = runner.run(bare_loop([each.port for each in apis], path, CONNECTIONS, seconds))
    return Measured(load, sum(cpu_seconds(each.pid) for each in apis) - used)


def _told(name: str, found: Sequence[Measured]) -> dict[str, Any]:
    times = percentiles([second for each in found for second in each.load.seconds])
    figures: dict[str, Any] = {f"{name}_per_second": round(fmean(each.load.rate for each in found))}
    figures |= {f"{name}_{key}": value for key, value in times.items() if key != "max_ms"}
    figures[f"{name}_cpu_ms"] = round(1e3 * sum(each.cpu for each in found) / times["count"], 3)
    console.print(figures)
    return figures


@contextmanager
def _apis(settings: Settings, folder: Path, count: int) -> Iterator[list[Api]]:
    """So many online API processes that are ready."""
    ports = [free_port() for _ in range(count)]
    services = [
        replace(each, name=f"api-{port}")
        for port in ports
        for each in cluster.services(settings, cluster.Ports(api=port), 0, folder)
        if each.name == "api"
    ]
    with supervised(services, folder / f"apis-{count}") as supervisor:
        for port in ports:
            eventually(lambda port=port: cluster.ready(f"http://127.0.0.1:{port}"), 300, "the API is ready")
        yield [Api(port, supervisor.pid(f"api-{port}")) for port in ports]


@contextmanager
def _constant(size: int) -> Iterator[Api]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", _CONSTANT, str(port), str(size)], cwd=Path(__file__).parent)
    try:
        eventually(lambda: cluster.alive(f"http://127.0.0.1:{port}"), 30, "the constant route answers")
        yield Api(port, process.pid)
    finally:
        process.terminate()
        process.wait(10)
