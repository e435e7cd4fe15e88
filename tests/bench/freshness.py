"""Freshness: from an event's intended send time to the first answer whose ``signals_offset`` includes it.

Open loop on the real stack: collector, Kafka, two Faust workers, Redis, online API. Every event is sent at its
intended time; one in ten, then each, is followed by a read with ``after=`` its token, as a page does it. All of it,
the client too, shares the machine: with a read after each event, two cores are close to full.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import aiohttp
import orjson

from deploy import cluster
from tests.bench.load import open_loop
from tests.bench.results import Figures, console, percentiles
from tests.bench.system import processes, servers
from tests.e2e.systems import call, eventually

RATE = 300.0
READ_ONE_IN = (10, 1)
SECONDS = 40.0
WARM_UP_SECONDS = 20.0
USERS = 5_000
ITEMS = 2_000
_JSON = {"Content-Type": "application/json"}


def measure() -> Figures:
    with servers() as (settings, folder), processes(settings, folder) as running:
        _catalogue(running.collector)
        first = {"type": "view", "user_id": "first", "item_id": "item-1"}
        eventually(lambda: _counts(running.collector, running.api, first), 60, "the first event counts")
        console.print(f"{RATE:g} events/s for {SECONDS:g} s, after a warm-up of {WARM_UP_SECONDS:g} s ...")
        asyncio.run(_run(running.collector, running.api, WARM_UP_SECONDS, 1))
        found = {f"one_event_in_{each}_read": _measured(running, each) for each in READ_ONE_IN}
    return Figures("cluster", {"events_per_second": RATE, "workers": 2, **found})


def _measured(running: cluster.Cluster, read_one_in: int) -> dict[str, float]:
    counted, missed, failed = asyncio.run(_run(running.collector, running.api, SECONDS, read_one_in))
    return {**percentiles(counted), "not_counted_in_time": missed, "failed": failed}


async def _run(collector: str, api: str, duration: float, read_one_in: int) -> tuple[list[float], int, int]:
    """Seconds until each event counted; events whose answer came without them; failed requests."""
    rng = random.Random(1)
    counted: list[float] = []
    missed = failed = 0

    async def one(session: aiohttp.ClientSession, number: int, intended: float) -> None:
        nonlocal missed, failed
        user, item = f"user-{rng.randrange(USERS)}", f"item-{rng.randrange(ITEMS)}"
        event = {"type": rng.choice(("view", "click", "like")), "user_id": user, "item_id": item}
        async with session.post(f"{collector}/v1/events", data=orjson.dumps(event), headers=_JSON) as posted:
            if posted.status != 202:
                failed += 1
                return
            token = orjson.loads(await posted.read())["results"][0]["offset"]
        if number % read_one_in:
            return
        async with session.get(f"{api}/v1/users/{user}/recommendations", params={"after": token}) as answered:
            answer = orjson.loads(await answered.read())
        if _includes(answer, token):
            counted.append(time.perf_counter() - intended)
        else:
            missed += 1

    await open_loop(one, RATE, duration)
    return counted, missed, failed


def _includes(answer: dict[str, Any], token: str) -> bool:
    """A later event of the same user includes this one."""
    offset = answer.get("signals_offset")
    return offset is not None and int(offset.partition(":")[2]) >= int(token.partition(":")[2])


def _counts(collector: str, api: str, event: dict[str, str]) -> bool:
    status, answer = call(f"{collector}/v1/events", event)
    if status != 202:
        return False
    token = answer["results"][0]["offset"]
    return _includes(call(f"{api}/v1/users/{event['user_id']}/recommendations?after={token}")[1], token)


def _catalogue(collector: str) -> None:
    items = [{"item_id": f"item-{n}", "title": f"Item {n}", "categories": [f"c{n % 20}"]} for n in range(ITEMS)]
    for begin in range(0, ITEMS, 1_000):
        status, answer = call(f"{collector}/v1/items", items[begin : begin + 1_000])
        assert status == 202, answer
