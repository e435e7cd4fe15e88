"""Answers per second and CPU seconds per answer of online API processes, for 50,000 items and 100,000 users.

It uses real Kafka, Redis and Cassandra, signals that workers folded, and a model trained with the defaults. ``first``
requests lists of users whose precomputed list has not been read yet. ``new`` requests them for the same users in new
visits, so no cached answer fits. ``unchanged`` requests the same lists of a few users again, without new events.
``constant`` is a FastAPI route that returns as many bytes. The client and the servers share the machine.
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

from deploy.config import CommandSettings
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
"""Number of users whose list ``unchanged`` requests again and again."""
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
    """A load, and the CPU seconds that the API processes used for it."""

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


def _fill(parts: Dependencies, settings: CommandSettings, folder: Path) -> None:
    """Writes the items and events to the log, and runs workers until they have folded them."""
    now = datetime.now(UTC)
    console.print(f"Putting {traffic.ITEMS:,} items and {EVENTS:,} events on the log ...")
    upserts = [Upsert(id=item.pop("item_id"), op="put", fields=item, received_at=now) for item in traffic.catalogue()]
    for begin in range(0, len(upserts), 1_000):
        entries = [LogEntry(upsert.id.encode(), encode_upsert(upsert)) for upsert in upserts[begin : begin + 1_000]]
        parts.writer.append(topics.ITEMS, entries).result(60)
    traffic.produce(settings.kafka, settings.prefix, EVENTS, 1, now)
    console.print("Folding ...")
    services = cluster.services(settings, cluster.Ports(workers_from=free_port()), 2, folder)
    workers = [service for service in services if service.name.startswith("worker")]
    with supervised(workers, folder / "workers"), followed(settings) as log:
        eventually(lambda: log.applied() >= log.end() and _items_done(parts, settings), 1_200, "all is folded")


def _items_done(parts: Dependencies, settings: CommandSettings) -> bool:
    partitions = range(settings.partitions)
    fences = [parts.signals.fence(partition, Signal.ITEMS) for partition in partitions]
    ends = [parts.reader.bounds(topics.ITEMS, partition)[1] for partition in partitions]
    return all(fence is not None and fence.offset + 1 >= end for fence, end in zip(fences, ends, strict=True))


def _one(api: Api) -> dict[str, Any]:
    """Returns the figures of one process."""
    known = set(_PEOPLE)
    unread_users = [user_id for user_id in dict.fromkeys(traffic.people(100_000, 2)) if user_id not in known]
    first = _measured([api], lambda number: _path(unread_users[number]), SECONDS)
    _touch(api)
    with urllib.request.urlopen(f"http://127.0.0.1:{api.port}{_again(0)}") as answered:
        size = len(answered.read())
    rounds: dict[str, list[Measured]] = {"first": [first], "constant": [], "new": [], "unchanged": []}
    with _constant(size) as constant:
        for number in range(ROUNDS):
            rounds["constant"].append(_measured([constant], lambda _: "/constant", SECONDS / 2))
            rounds["new"].append(_measured([api], _new(f"one-{number}"), SECONDS))
            rounds["unchanged"].append(_measured([api], _again, SECONDS))
    figures: dict[str, Any] = {"answer_bytes": size, "source_us": _sources(api)}
    for name, measured in rounds.items():
        figures |= _figures(name, measured)
    return figures


def _two(apis: list[Api]) -> dict[str, Any]:
    """Returns the figures of two processes together, and of one of them. Rounds alternate, so that noise affects both."""
    for api in apis:
        _touch(api)
    alone, both = [], []
    for number in range(ROUNDS):
        alone.append(_measured(apis[:1], _new(f"alone-{number}"), SECONDS))
        both.append(_measured(apis, _new(f"both-{number}"), SECONDS))
    figures = {**_figures("one_of_two", alone), **_figures("two_processes", both)}
    ratio = figures["two_processes_cpu_ms"] / figures["one_of_two_cpu_ms"]
    return {**figures, "two_processes_cpu_of_one": round(ratio, 3)}


def _sources(api: Api) -> dict[str, float]:
    """Returns the mean time of each candidate source in microseconds, over the timed lists."""
    with urllib.request.urlopen(f"http://127.0.0.1:{api.port}/metrics") as answered:
        samples = {(part, name): float(value) for part, name, value in _TIMED.findall(answered.read().decode())}
    counts = {name: count for (part, name), count in samples.items() if part == "count" and count}
    return {name: round(1e6 * samples["sum", name] / count, 1) for name, count in counts.items()}


def _touch(api: Api) -> None:
    """Requests the list of each user once, so that the precomputed lists are in memory."""
    for person in _PEOPLE:
        with urllib.request.urlopen(f"http://127.0.0.1:{api.port}{_path(person)}") as answered:
            answered.read()


def _path(person: str) -> str:
    return f"/v1/users/{person}/recommendations"


def _new(visit: str) -> Callable[[int], str]:
    """Returns paths of all users in turn, each in a new visit, so that no answer is cached."""
    return lambda number: f"{_path(_PEOPLE[number % len(_PEOPLE)])}?session_id={visit}-{number}"


def _again(number: int) -> str:
    return _path(_PEOPLE[number % WAITING])


def _measured(apis: Sequence[Api], path: Callable[[int], str], seconds: float) -> Measured:
    used = sum(cpu_seconds(api.pid) for api in apis)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        load = runner.run(bare_loop([api.port for api in apis], path, CONNECTIONS, seconds))
    return Measured(load, sum(cpu_seconds(api.pid) for api in apis) - used)


def _figures(name: str, rounds: Sequence[Measured]) -> dict[str, Any]:
    times = percentiles([seconds for measured in rounds for seconds in measured.load.seconds])
    figures: dict[str, Any] = {f"{name}_per_second": round(fmean(measured.load.rate for measured in rounds))}
    figures |= {f"{name}_{key}": value for key, value in times.items() if key != "max_ms"}
    figures[f"{name}_cpu_ms"] = round(1e3 * sum(measured.cpu for measured in rounds) / times["count"], 3)
    console.print(figures)
    return figures


@contextmanager
def _apis(settings: CommandSettings, folder: Path, count: int) -> Iterator[list[Api]]:
    """Runs this number of online API processes, and yields them once they are ready."""
    ports = [free_port() for _ in range(count)]
    services = [
        replace(service, name=f"api-{port}")
        for port in ports
        for service in cluster.services(settings, cluster.Ports(api=port), 0, folder)
        if service.name == "api"
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
