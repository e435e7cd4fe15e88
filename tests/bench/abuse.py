"""What one client can do to a site: the worst stall of an event loop, memory and disk of each abuse, on both stacks.

The site has 100,000 items (FRESHET_BENCH_ITEMS) and a model over them. All is on loopback and ends by itself. Another process
requests ``/health/live`` every 5 ms. A row has its longest wait, and the CPU time for which the loop was held in the worst wait:
only that does not depend on what else the machine does. Client and servers share the machine.

Other visitors request lists meanwhile, as on any site. On a virtual machine with busy neighbours, cold memory makes even CPU
time several times longer: ``memory_ms`` is the time to read 32 MiB, at once again and after a pause. So there are several
rounds, each on a new site, and a row is the one of the round that was less disturbed. What the software costs is in each round.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import numpy as np

from deploy.config import CommandSettings
from deploy.wiring.dependencies import open_dependencies
from models.als import Als
from models.neighbours import Neighbours
from models.popularity import Popularity
from schemas.errors import ServerMissing
from schemas.offline.manifest import DataWindow, Manifest
from tests.bench.abuses import ABUSES, ATTRIBUTES, Abuse, Target
from tests.bench.prober import probing
from tests.bench.results import Figures, console
from tests.bench.system import rss_mib, servers
from tests.e2e.systems import ClusterSystem, EmbeddedSystem, System, call, eventually, running

ITEMS: Final = int(os.environ.get("FRESHET_BENCH_ITEMS", "100000"))
BARE_ITEMS_MIB: Final = 32
"""Memory for ids without item data: far less than the default, so that the flood of such ids is larger."""
STALL_MS: Final = 50.0
"""Longest time for which one client may hold an event loop."""
SETTLE_SECONDS: Final = 3.0
"""Pause after an abuse, in which caches let go of what has expired."""
VISITS_PER_SECOND: Final = 20
ROUNDS: Final = 2
FACTORS: Final = 32
NEIGHBOURS: Final = 20
_SLICE: Final = 1_000


class Site(NamedTuple):
    """A running site, and the process ids of its ends by name."""

    system: System
    settings: CommandSettings
    pids: dict[str, int]
    ports: dict[str, int]


def measure() -> Figures:
    figures: dict[str, Any] = {"items": ITEMS, "limit_ms": STALL_MS, "bare_items_mib": BARE_ITEMS_MIB, "rounds": ROUNDS}
    os.environ["FRESHET_BARE_ITEMS_MIB"] = str(BARE_ITEMS_MIB)  # for the processes of both sites
    figures["memory_ms"] = _memory_ms()
    figures["embedded"] = _quieter([_embedded_round() for _ in range(ROUNDS)])
    try:
        figures["cluster"] = _quieter([_cluster_round() for _ in range(ROUNDS)])
    except ServerMissing as error:
        console.print(f"no cluster: {error}")
    return Figures("+".join(stack for stack in ("embedded", "cluster") if stack in figures), figures)


def _embedded_round() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="freshet-abuse-") as name, _embedded(Path(name)) as site:
        return asyncio.run(_abused(site))


def _cluster_round() -> dict[str, Any]:
    with servers() as (settings, folder), _cluster(folder, settings) as site:
        return asyncio.run(_abused(site))


def _quieter(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of each abuse, the round in which the loop was held shorter, and how long it was held in each round."""
    rows = {}
    for name in rounds[0]:
        of_abuse = [rows_of_round[name] for rows_of_round in rounds]
        held = [row["worst_held_ms"] for row in of_abuse]
        rows[name] = of_abuse[held.index(min(held))] | {"rounds_held_ms": held}
        sign = "OVER" if min(held) > STALL_MS else "ok"
        console.print(f"{name}: {sign} {held}")
    return rows


@contextmanager
def _embedded(folder: Path) -> Iterator[Site]:
    system = EmbeddedSystem(folder / "data")
    (folder / "data").mkdir()
    with running(system):
        assert system.pid is not None
        port = urlsplit(system.api).port or 0
        settings = CommandSettings(stack="embedded", data=system.folder)
        yield Site(system, settings, {"freshet": system.pid}, {"freshet": port})


@contextmanager
def _cluster(folder: Path, settings: CommandSettings) -> Iterator[Site]:
    system = ClusterSystem(folder, settings)
    with running(system):
        assert system.running is not None
        pids = {name: system.running.supervisor.pid(name) for name in ("api", "collector")}
        ports = {"api": urlsplit(system.api).port or 0, "collector": urlsplit(system.collector).port or 0}
        yield Site(system, settings.model_copy(update={"stack": "cluster", "data": folder}), pids, ports)


async def _abused(site: Site) -> dict[str, Any]:
    """The figures of each abuse, in their order."""
    await asyncio.to_thread(_fill, site)
    _publish(site.settings, 1)
    await asyncio.to_thread(_wait_for_version, site, "v1")
    _like(site.system)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as client:

        async def publish() -> None:
            await asyncio.to_thread(_publish, site.settings, 2)
            await asyncio.to_thread(_wait_for_version, site, "v2")

        target = Target(site.system.api, site.system.collector, client, ITEMS, publish)
        return {name: await _row(site, target, name, abuse) for name, abuse in ABUSES.items()}


async def _row(site: Site, target: Target, name: str, abuse: Abuse) -> dict[str, Any]:
    memory, disk, begun = _memory(site), _disk(site.system.folder), time.perf_counter()
    probes = {end: probing(port, site.pids[end]) for end, port in site.ports.items()}
    figures = {end: probe.__enter__() for end, probe in probes.items()}
    visitors = asyncio.create_task(_visit(target))
    statuses = await abuse(target)
    seconds = time.perf_counter() - begun
    visitors.cancel()
    for probe in probes.values():
        await asyncio.to_thread(probe.__exit__, None, None, None)
    await asyncio.sleep(SETTLE_SECONDS)
    worst = max(figures.values(), key=lambda each: each["worst_held_ms"])
    row = {
        **{name: worst[name] for name in ("worst_held_ms", "p99_held_ms", "worst_wait_ms")},
        "seconds": round(seconds, 1),
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "memory_mib": {end: round(after - memory[end], 1) for end, after in _memory(site).items()},
        "disk_mib": round(_disk(site.system.folder) - disk, 2),
    }
    sign = "OVER" if row["worst_held_ms"] > STALL_MS else "ok"
    console.print(f"{site.system.stack}: {name}: {sign} {row}")
    return row


async def _visit(target: Target) -> None:
    """Requests the lists of ordinary visitors, until it is cancelled."""
    for number in itertools.cycle(range(200)):
        async with target.client.get(f"{target.api}/v1/users/visitor-{number}/recommendations") as response:
            await response.read()
        await asyncio.sleep(1 / VISITS_PER_SECOND)


def _memory_ms() -> dict[str, float]:
    """Milliseconds to read 32 MiB of memory: at once again, and after a pause."""
    values, times = np.ones(2**22), []
    for pause in (0.0, 0.0, 3.0):
        time.sleep(pause)
        begun = time.perf_counter()
        values.sum()
        times.append(round((time.perf_counter() - begun) * 1_000, 1))
    return {"at_once": times[1], "after_a_pause": times[2]}


def _fill(site: Site) -> None:
    """Sends the catalogue, and waits until it is served."""
    words = np.random.default_rng(1).integers(1, 5_000, (ITEMS, 6))
    for begin in range(0, ITEMS, _SLICE):
        items = [_item(number, words[number].tolist()) for number in range(begin, min(begin + _SLICE, ITEMS))]
        status, answer = call(f"{site.system.collector}/v1/items", items)
        assert status == 202, answer
    last = f"{site.system.api}/v1/items/item-{ITEMS - 1}"
    eventually(lambda: call(last)[0] == 200, 600, "the catalogue is served")


def _item(number: int, words: list[int]) -> dict[str, Any]:
    attributes = {f"a{n}": (number * (n + 1)) % 1_000 for n in range(ATTRIBUTES)}
    title = f"word{number % 70} " + " ".join(f"word{word}" for word in words)
    return {
        "item_id": f"item-{number}",
        "title": title,
        "categories": ["games"],
        "price": 5.0,
        "attributes": attributes,
    }


def _like(system: System) -> None:
    """One user has a history."""
    for number in range(40):
        status, _ = call(
            f"{system.collector}/v1/events", {"type": "like", "user_id": "fan", "item_id": f"item-{number * 31}"}
        )
        assert status == 202


def _publish(settings: CommandSettings, number: int) -> None:
    """Puts a model of random factors into the store, and activates it."""
    random = np.random.default_rng(number)
    ids = tuple(f"item-{n}" for n in range(ITEMS))
    users = tuple(f"user-{n}" for n in range(1_000))
    als = Als(users, ids, *(random.normal(size=(len(each), FACTORS)) / 4 for each in (users, ids)), 1.0, 1.0)
    similar = random.integers(0, ITEMS, (ITEMS, NEIGHBOURS)), -np.sort(-random.random((ITEMS, NEIGHBOURS)))
    models = als, Neighbours(ids, *similar), Popularity(ids, random.random(ITEMS, np.float32))
    values = {model.kind: model.save() for model in models}
    manifest = Manifest(
        version=f"v{number}",
        created_at=datetime.now(UTC),
        algorithm="als",
        engine="single",
        parameters={},
        window=DataWindow(interactions=1, users=len(users), items=ITEMS),
        offsets={},
        values=tuple(values),
        lists={},
    )
    with open_dependencies(settings) as parts:
        parts.models.write(manifest, values, {})
        parts.models.activate(manifest.version, parts.models.active())


def _wait_for_version(site: Site, version: str) -> None:
    url = f"{site.system.api}/v1/users/nobody/recommendations?count=1"
    eventually(lambda: call(url)[1]["model_version"] == version, 120, f"{version} is served")


def _memory(site: Site) -> dict[str, float]:
    return {end: rss_mib(pid) for end, pid in site.pids.items()}


def _disk(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
