"""What it costs to search the values of all users for links to erased guests, and what readers feel of it.

``at_once``: every erasure reads all values by itself, in large pages without a pause. ``in_steps``: an erasure waits for a pass
in short steps, as ``ingest.privacy.link_search`` makes it. ``waiting``: so many erasures wait for one pass. Meanwhile somebody
reads the values of users at a fixed rate: from another process where the values are in Redis, as an online API does, and from
another thread of this process where they are in SQLite, as in the embedded process. ``reads_alone``: with nothing else.
``more_mib``: resident memory of this process after a search, less that before.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec

from adapters.redis.signals import RedisSignalReader, RedisSignalStore
from adapters.sqlite.signals import SqliteSignalReader, SqliteSignalStore
from ingest.privacy.eraser import STEP_SECONDS
from ingest.privacy.link_search import Link, LinkRequest, LinkSearch
from schemas.keys import Signal, anonymous_key, session_key, user_key
from schemas.log.fence import Fence
from schemas.ports import Replacement, SignalStore
from signals import user_codec, users
from signals.users import UserValue
from tests.bench.hot_users import event
from tests.bench.results import Figures, console, percentiles
from tests.bench.system import rss_mib, servers

USERS: Final = int(os.environ.get("FRESHET_BENCH_USERS", "200000"))
PARTITIONS: Final = 8
LENGTHS: Final = {3: 40, 10: 30, 30: 18, 64: 9, 128: 3}
"""Numbers of events of a user, each with the share of users in percent."""
LINKED: Final = 0.3
"""Share of users who have been a guest before."""
WAITING: Final = (1, 10, 100)
READS_A_SECOND: Final = 200
READ_SECONDS: Final = 15.0
_BATCH: Final = 2_000
_LARGE_PAGE: Final = 1_000


def measure() -> Figures:
    figures: dict[str, Any] = {"users": USERS}
    with (
        servers(("redis",)) as (settings, _),
        closing(RedisSignalStore(settings.redis)) as redis,
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process,
    ):
        figures["redis"] = _measured(redis, settings.redis, process)
    with (
        tempfile.TemporaryDirectory(prefix="freshet-bench-") as folder,
        closing(SqliteSignalStore(Path(folder))) as sqlite,
        ThreadPoolExecutor(1) as thread,
    ):
        figures["sqlite"] = _measured(sqlite, folder, thread)
    figures["load_average"] = [round(load, 1) for load in os.getloadavg()]
    return Figures("redis and sqlite", figures)


def _measured(store: SignalStore, address: str, beside: Executor) -> dict[str, Any]:
    figures: dict[str, Any] = {"stored_mib": round(_fill(store) / 2**20, 1)}
    beside.submit(read_values, address, 1.0).result()  # it has started, and has its connection
    figures["reads_alone"] = percentiles(beside.submit(read_values, address, READ_SECONDS).result())
    searches: dict[str, Callable[[], list[Link]]] = {
        "at_once": lambda: _at_once(store),
        "in_steps": lambda: _in_steps(store, 1),
    }
    for name, search in searches.items():
        figures[name] = _beside_reads(search, beside.submit(read_values, address, READ_SECONDS).result)
        console.print(f"{address} {name}: {figures[name]}")
    figures["waiting"] = {str(count): _passed(lambda: _in_steps(store, count)) for count in WAITING}  # noqa: B023 - called at once
    return figures


def _beside_reads(search: Callable[[], list[Link]], reads: Callable[[], list[float]]) -> dict[str, Any]:
    """Searches again and again while somebody reads. Returns the means of one search, and the times of the reads."""
    until, passes = time.perf_counter() + READ_SECONDS, []
    while time.perf_counter() < until:
        passes.append(_passed(search))
    means = {name: round(sum(each[name] for each in passes) / len(passes), 2) for name in ("seconds", "cpu_s")}
    return {
        "passes": len(passes),
        **means,
        "more_mib": max(each["more_mib"] for each in passes),
        "reads": percentiles(reads()),
    }


def _passed(search: Callable[[], list[Link]]) -> dict[str, float]:
    """What one search took; ``cpu_s`` is that of this thread."""
    memory, used, began = rss_mib(os.getpid()), time.thread_time(), time.perf_counter()
    assert search() == [Link(_user(0), _guest(0))]
    seconds, used = time.perf_counter() - began, time.thread_time() - used
    more = max(0.0, rss_mib(os.getpid()) - memory)
    return {"seconds": round(seconds, 2), "cpu_s": round(used, 2), "more_mib": round(more, 1)}


def _at_once(store: SignalStore) -> list[Link]:
    links = []
    for partition in range(PARTITIONS):
        for key, data in store.scan(partition, Signal.USERS, _LARGE_PAGE):
            if _guest(0).encode() in data and _guest(0) in user_codec.head(data).links:
                links.append(Link(key[2:], _guest(0)))
    return links


def _in_steps(store: SignalStore, waiting: int) -> list[Link]:
    """One pass for so many erasures, with the pauses that the eraser makes. Returns the links of the first one."""
    search = LinkSearch(store, lambda: PARTITIONS)
    requests = [LinkRequest(str(number), frozenset({_guest(number)}), ()) for number in range(waiting)]
    for request in requests:
        search.find(request)
    while search.step() and search.is_reading:
        time.sleep(STEP_SECONDS)
    found = [search.find(request) for request in requests]
    assert None not in found
    return found[0] or []


def read_values(address: str, seconds: float) -> list[float]:
    """Reads as an answer does, at a fixed rate; returns the seconds of each read, from the moment when it was due."""
    return asyncio.run(_read_values(address, seconds))


async def _read_values(address: str, seconds: float) -> list[float]:
    is_redis = address.startswith("redis")
    reader = RedisSignalReader(address) if is_redis else SqliteSignalReader(Path(address))
    chance, began, taken = random.Random(1), time.perf_counter(), []
    for number in range(int(seconds * READS_A_SECOND)):
        due = began + number / READS_A_SECOND
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        user = chance.randrange(USERS)
        keys = [make(_user(user)) for make in (user_key, anonymous_key, session_key)]
        values = await reader.read(user % PARTITIONS, Signal.USERS, keys)
        assert values.values[0] is not None
        taken.append(time.perf_counter() - due)
    await reader.close()
    return taken


def _fill(store: SignalStore) -> int:
    """Stores the values of all users; returns their bytes."""
    histories, size = _histories(), 0
    for partition in range(PARTITIONS):

        def batches() -> Iterator[dict[str, bytes | None]]:
            nonlocal size
            numbers = range(partition, USERS, PARTITIONS)  # noqa: B023 - consumed within this turn
            for first in range(0, len(numbers), _BATCH):
                batch = {user_key(_user(n)): _value(histories, n) for n in numbers[first : first + _BATCH]}
                size += sum(map(len, batch.values()))
                yield dict(batch)

        store.replace(partition, [Replacement(Signal.USERS, None, Fence("bench", 1), batches())])
    return size


def _histories() -> list[UserValue]:
    """A hundred values, with the lengths of LENGTHS."""
    histories = []
    for length, share in LENGTHS.items():
        for seed in range(share):
            value, chance = users.EMPTY, random.Random(1_000 * length + seed)
            for number in range(length):
                value = users.fold(value, event(number, chance), 9 * number)
            histories.append(value)
    return histories


def _value(histories: list[UserValue], number: int) -> bytes:
    """The first users have links, and so has each that chance says."""
    chance = random.Random(number)
    links = (_guest(number),) if number < max(WAITING) or chance.random() < LINKED else ()
    return user_codec.encode(msgspec.structs.replace(chance.choice(histories), links=links))


def _user(number: int) -> str:
    return f"user-{number:07d}"


def _guest(number: int) -> str:
    return f"guest-{number:07d}-6f1c-4b7e"
