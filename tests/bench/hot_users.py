"""What an event of a user with a long history costs, with the user's value stored whole and in two parts.

A shop's visitor has so many events before. Each further event is folded and committed by itself, as a worker does it that
keeps up. Both forms are measured in turn, on the same server. ``value_bytes`` tells what a value holds.

``written_bytes``: what the commits hand to the store. ``log_bytes``: what Redis appends to its append-only file, or SQLite
writes to its files. ``server_cpu_us``: CPU time of Redis. ``cpu_us``: CPU time of this process, with the fold. A read is that
of an answer: the three keys of one user, then the head and the whole value. All are for one event or one read.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any, Final, NamedTuple

import msgspec
import redis

from adapters.redis.signals import RedisSignalReader, RedisSignalStore
from adapters.sqlite.signals import SqliteSignalReader, SqliteSignalStore
from nearline.signal_state import SignalState, UserValues
from schemas.events import LoggedEvent
from schemas.keys import Signal, anonymous_key, session_key, user_key
from schemas.ports import SignalReader, SignalStore
from signals import user_codec, users
from signals.users import UserValue
from tests.bench.results import Figures, console
from tests.bench.system import servers

BEFORE: Final = (10, 64, 128, 1_000, 5_000)
"""Numbers of events that a user has before."""
EVENTS: Final = 300
"""Number of further events, of one user after the other. A user gets no more than there were before."""
READS: Final = 500
ROUNDS: Final = 3
ITEMS: Final = 20_000
_LOG: Final = "bench"
_USER: Final = "user-{:05d}"
_START: Final = datetime(2026, 11, 1, tzinfo=UTC)
_TYPES: Final = {
    "view": 40,
    "click": 25,
    "dwell": 12,
    "like": 5,
    "cart": 4,
    "purchase": 2,
    "search": 6,
    "impression": 6,
}
_QUERIES: Final = ("red running shoes", "winter jacket men", "usb c cable 2m")
_FORMS: Final = {"whole": False, "in_parts": True}


class Sites(NamedTuple):
    """A store, its reader, and two counters of what its server has used."""

    store: SignalStore
    reader: SignalReader
    log_bytes: Callable[[], int]
    server_cpu: Callable[[], float]
    """Seconds; 0 where the store is in this process."""


def measure() -> Figures:
    figures: dict[str, Any] = {"value_bytes": {str(count): _fields(_value(count)) for count in BEFORE}}
    for name, opened in (("redis", _redis), ("sqlite", _sqlite)):
        with asyncio.Runner() as runner, opened(runner) as site:
            figures[name] = {str(count): _compared(runner, site, count) for count in BEFORE}
    return Figures("redis and sqlite", figures)


def event(number: int, random: Random) -> LoggedEvent:
    """One event of a visitor, with the context and the properties that a shop sends."""
    [kind] = random.choices(list(_TYPES), list(_TYPES.values()))
    at = _START + timedelta(seconds=40 * number + random.random())
    shown = random.random() < 0.4
    return LoggedEvent(
        event_id=f"{random.getrandbits(128):032x}",
        type=kind,
        user_id=_USER.format(0),
        session_id=f"s-{number // 25:06d}-c41f",
        item_id=None if kind in {"search", "impression"} else f"sku-{int(ITEMS * random.random() ** 2):07d}",
        value=round(200 * random.random(), 1) if kind == "dwell" else None,
        query=random.choice(_QUERIES) if kind == "search" else None,
        occurred_at=at,
        received_at=at,
        recommendation_id=f"{random.getrandbits(128):032x}" if shown else None,
        position=random.randrange(20) if shown else None,
        impression=[f"sku-{random.randrange(ITEMS):07d}" for _ in range(10)] if kind == "impression" else None,
        context={"country": "DE", "device": "mobile", "page": "/category/shoes", "language": "de", "os": "ios"},
        properties={"referrer": "https://shop.example/home", "campaign": "autumn-2026", "scroll": random.random()},
    )


def _value(count: int) -> UserValue:
    random, value = Random(1), users.EMPTY
    for number in range(count):
        value = users.fold(value, event(number, random), 9 * number)
    return value


def _fields(value: UserValue) -> dict[str, int]:
    sizes = {
        name: len(msgspec.msgpack.encode(getattr(value, name))) for name in ("recent", "seen", "id_hashes", "terms")
    }
    sizes |= {name: len(msgspec.msgpack.encode(getattr(value, name))) for name in ("older", "past")}
    whole = len(user_codec.encode(value))
    return {"whole": whole, **sizes, "rest": whole - sum(sizes.values())}


def _compared(runner: asyncio.Runner, site: Sites, count: int) -> dict[str, Any]:
    """Returns the figures of both forms, each the mean of its rounds, and how many times less is written in parts."""
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in _FORMS}
    for number in range(ROUNDS):
        for name in list(_FORMS)[:: 1 if number % 2 == 0 else -1]:
            written = _events(site, count, number, in_parts=_FORMS[name])
            rounds[name].append({**written, **runner.run(_reads(site))})
    means = {
        name: {figure: fmean(each[figure] for each in found) for figure in found[0]} for name, found in rounds.items()
    }
    told: dict[str, Any] = {
        name: {figure: round(value, 1) for figure, value in figures.items()} for name, figures in means.items()
    }
    for figure in ("written_bytes", "log_bytes"):
        told[f"{figure}_of_whole"] = round(means["in_parts"][figure] / means["whole"][figure], 3)
    console.print(f"{count} events before: {told}")
    return told


class _Counting:
    """A signal store that counts the bytes of keys and values in its commits."""

    def __init__(self, store: SignalStore) -> None:
        self._store, self.bytes = store, 0
        self.fence, self.load, self.reset = store.fence, store.load, store.reset

    def commit(self, partition, signal, expected, fence, values) -> None:  # type: ignore[no-untyped-def]
        self.bytes += sum(len(key) + len(data or b"") for key, data in values.items())
        self._store.commit(partition, signal, expected, fence, values)


def _events(site: Sites, count: int, seed: int, *, in_parts: bool) -> dict[str, float]:
    counting, packing = _Counting(site.store), UserValues(in_parts=in_parts)
    site.store.discard(0, Signal.USERS)
    state = SignalState(counting, 0, Signal.USERS, _LOG, packing)  # type: ignore[arg-type]
    state.open()
    each = min(EVENTS, count)
    first, random = _value(count), Random(seed)
    keys = [user_key(_USER.format(number)) for number in range(EVENTS // each)]
    for key in keys:
        _commit(state, key, first)
    before = counting.bytes, site.log_bytes(), site.server_cpu(), time.process_time()
    for key in keys:
        value = first
        for number in range(count, count + each):
            value = users.fold(value, event(number, random), 9 * number)
            _commit(state, key, value)
    after = counting.bytes, site.log_bytes(), site.server_cpu(), time.process_time()
    events = each * len(keys)
    written, logged, server, own = ((end - begin) / events for begin, end in zip(before, after, strict=True))
    return {"written_bytes": written, "log_bytes": logged, "server_cpu_us": 1e6 * server, "cpu_us": 1e6 * own}


def _commit(state: SignalState[UserValue], key: str, value: UserValue) -> None:
    state.put(key, value)
    state.applied += 1
    state.commit()


async def _reads(site: Sites) -> dict[str, float]:
    keys = [make(_USER.format(0)) for make in (user_key, anonymous_key, session_key)]
    server, own = site.server_cpu(), time.process_time()
    for _ in range(READS):
        data = (await site.reader.read(0, Signal.USERS, keys)).values[0]
    server, own = site.server_cpu() - server, time.process_time() - own
    assert data is not None
    return {
        "read_server_cpu_us": 1e6 * server / READS,
        "read_cpu_us": 1e6 * own / READS,
        "head_us": _microseconds(lambda: user_codec.head(data)),
        "decode_us": _microseconds(lambda: user_codec.decode(data)),
    }


def _microseconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(READS):
        work()
    return 1e6 * (time.process_time() - began) / READS


@contextmanager
def _redis(runner: asyncio.Runner) -> Iterator[Sites]:
    with servers(("redis",)) as (settings, _), redis.Redis.from_url(settings.redis) as client:
        client.config_set("appendonly", "yes")
        client.config_set("auto-aof-rewrite-percentage", 0)
        while client.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.1)
        with closing(RedisSignalStore(settings.redis)) as store:
            reader = RedisSignalReader(settings.redis)
            yield Sites(store, reader, lambda: _appended(client), lambda: _used(client))
            runner.run(reader.close())


def _appended(client: redis.Redis) -> int:
    return int(client.info("persistence")["aof_current_size"])


def _used(client: redis.Redis) -> float:
    used = client.info("cpu")
    return float(used["used_cpu_user_main_thread"]) + float(used["used_cpu_sys_main_thread"])


@contextmanager
def _sqlite(runner: asyncio.Runner) -> Iterator[Sites]:
    with (
        tempfile.TemporaryDirectory(prefix="freshet-bench-") as name,
        closing(SqliteSignalStore(Path(name))) as store,
    ):
        reader = SqliteSignalReader(Path(name))
        yield Sites(store, reader, _written_by_process, lambda: 0.0)
        runner.run(reader.close())


def _written_by_process() -> int:
    """Returns the bytes that this process has written to files (Linux)."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])
