"""Single cheap requests and small floods of one client that must not be expensive; ``abuse`` runs them one after another."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import aiohttp

ATTRIBUTES: Final = 12
"""Attributes that each item of the site has: ``a0``, ``a1``, …"""
STRANGERS: Final = 4_000
IMPRESSIONS: Final = 160_000
PAIRS: Final = 60_000
SYNC_SECONDS: Final = 15.0
"""Pause in which online processes read what was sent."""
FLOOD_SECONDS: Final = 120.0
STREAMS: Final = 1_100
_AT_ONCE: Final = 4
"""Requests of a flood that are sent at once; all others are sent one by one."""
_VIEW: Final = {"type": "view", "user_id": "abuser", "item_id": "item-1"}
_JSON: Final = {"Content-Type": "application/json"}
_NDJSON: Final = {"Content-Type": "application/x-ndjson"}
_GZIP: Final = {**_JSON, "Content-Encoding": "gzip"}


class Target(NamedTuple):
    """The two ends of a site, a client of it, and the number of its items."""

    api: str
    collector: str
    client: aiohttp.ClientSession
    items: int
    publish: Callable[[], Awaitable[None]]
    """Publishes another model version, and returns once it is served."""


Statuses = Counter[int]
Abuse = Callable[[Target], Awaitable[Statuses]]


def _posts(path: str, headers: dict[str, str], bodies: Callable[[], Iterable[bytes]]) -> Abuse:
    async def abuse(target: Target) -> Statuses:
        url = f"{target.collector}{path}"
        return await _all(target.client.post(url, data=body, headers=headers) for body in bodies())

    return abuse


def _gets(paths: Callable[[Target], Iterable[str]], at_once: int = 1) -> Abuse:
    async def abuse(target: Target) -> Statuses:
        return await _all((target.client.get(f"{target.api}{path}") for path in paths(target)), at_once)

    return abuse


async def _all(requests: Iterable[Any], at_once: int = 1) -> Statuses:
    """Sends these requests, so many at once, for up to FLOOD_SECONDS; the number of answers of each status."""
    statuses, waiting, ends_at = Statuses(), iter(requests), time.monotonic() + FLOOD_SECONDS

    async def send() -> None:
        for request in waiting:
            async with request as response:
                await response.read()
                statuses[response.status] += 1
            if time.monotonic() > ends_at:
                return

    await asyncio.gather(*(send() for _ in range(at_once)))
    return statuses


def _event(**fields: Any) -> bytes:
    return json.dumps({**_VIEW, **fields}).encode()


def _list_of(user: str, **parameters: Any) -> str:
    pairs = (
        (name, each) for name, value in parameters.items() for each in (value if isinstance(value, list) else [value])
    )
    return f"/v1/users/{user}/recommendations?" + "&".join(f"{name}={quote(str(value))}" for name, value in pairs)


def _any_of(tests: Iterable[str]) -> str:
    return " or ".join(tests)


def _invented(number: int) -> str:
    return _any_of(f"attributes.a0.x{number}y{n} = {n}" for n in range(64))


def _observed(number: int) -> str:
    return _any_of(f"a{n % ATTRIBUTES} > {n + number}" for n in range(60))


def _parts(number: int) -> str:
    return _any_of(f"title contains 'x{number}y{n}'" for n in range(60))


def _invented_boosts(number: int) -> list[str]:
    return [f"2:a{number}.b{n} = 1" for n in range(10)]


def _searches(_: Target) -> Iterable[str]:
    words = " ".join(f"word{n}" for n in range(1, 70))[:510]
    return [f"/v1/items?limit=500&query={quote(words)}"] * 5 + ["/v1/items?limit=500&cursor=o90000"] * 5


async def _take_over(target: Target) -> Statuses:
    await target.publish()
    return Statuses({200: 1})


async def _streams(target: Target) -> Statuses:
    """Opens as many streams as a process has, from one address, then one from another."""
    statuses, opened = Statuses(), []
    connector = aiohttp.TCPConnector(limit=0, local_addr=("127.0.0.2", 0))
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as one,
        aiohttp.ClientSession(connector=connector) as other,
    ):
        for number in range(STREAMS):
            response = await one.get(f"{target.api}/v1/users/abuser-{number}/notifications")
            statuses[response.status] += 1
            opened.append(response)
        response = await other.get(f"{target.api}/v1/users/somebody/notifications")
        statuses[1_000 + response.status] += 1  # the other client's, told apart
        for each in (*opened, response):
            each.close()
    return statuses


def _countries() -> list[bytes]:
    events = [{**_VIEW, "item_id": f"item-{n % 50}", "context": {"country": f"land-{n}"}} for n in range(1_500)]
    return [json.dumps(events[begin : begin + 500]).encode() for begin in range(0, len(events), 500)]


def _impressions() -> Iterable[bytes]:
    for begin in range(0, IMPRESSIONS, 20_000):
        lists = [[f"nobody-{n}" for n in range(start, start + 500)] for start in range(begin, begin + 20_000, 500)]
        yield json.dumps([{"type": "impression", "user_id": "abuser", "impression": ids} for ids in lists]).encode()


def _visits_of_pairs() -> Iterable[bytes]:
    """Two people at each of many invented ids, so that each is admitted to the catalogue."""
    for begin in range(0, PAIRS, 1_000):
        events = [
            {"type": "view", "user_id": f"pair-{number // 20}-{person}", "item_id": f"invented-{number}"}
            for number in range(begin, begin + 1_000)
            for person in range(2)
        ]
        yield json.dumps(events).encode()


async def _pairs(target: Target) -> Statuses:
    statuses = await _posts("/v1/events", _JSON, _visits_of_pairs)(target)
    await asyncio.sleep(SYNC_SECONDS)
    return statuses


def _longest_filter(number: int) -> str:
    return f"a{number} = 1 and ({_any_of(f'a{n} in [{number},{n}]' for n in range(ATTRIBUTES))}" + " or a0=1" * 40 + ")"


def _sessions(target: Target) -> Iterable[Any]:
    events = [{"type": "view", "item_id": f"item-{n}"} for n in range(200)]
    yield from (("/v1/sessions/recommendations", {"events": events, "count": 500, "diversity": 1.0}),) * 5
    unknown = {"type": "view", "item_id": "a", **{f"f{n}": 0 for n in range(50_000)}}
    yield from (("/v1/sessions/recommendations", {"events": [unknown]}),) * 3
    ids = random.Random(1).sample(range(target.items), 1_000)
    yield from (("/v1/users/abuser/scores", {"item_ids": [f"item-{n}" for n in ids]}),) * 5


async def _bodies(target: Target) -> Statuses:
    return await _all(target.client.post(f"{target.api}{path}", json=body) for path, body in _sessions(target))


def _long_key() -> bytes:
    return (
        b'{"type":"view","user_id":"u","item_id":"i","properties":{"'
        + b"k" * 400_000
        + b'":['
        + b"0," * 250_000
        + b"0]}}"
    )


def _nested() -> bytes:
    return b"[" + b'{"a":{"b":{"c":[1]}}},' * 47_000 + b"1]"


_UNREADABLE: Final = (
    "a in [" + ",".join("1" * 990) + "]",
    "(" * 31 + "a=1 or " * 240 + "a",
    "a in [" + "'x'," * 480 + "=",
    ("(" * 31 + "a=1" + ")" * 31 + " or ") * 28 + "a=1",
)


def _five(body: Callable[[], bytes]) -> Callable[[], list[bytes]]:
    return lambda: [body()] * 5


async def _quiet(_: Target) -> Statuses:
    await asyncio.sleep(3)
    return Statuses()


_BODIES: Final[dict[str, Abuse]] = {
    "250,000 zeros under a long key, 1.5 kB of gzip": _posts(
        "/v1/events", _GZIP, _five(lambda: gzip.compress(_long_key()))
    ),
    "190,000 nested objects": _posts("/v1/events", _GZIP, _five(lambda: gzip.compress(_nested()))),
    "an event of 50,000 unknown fields": _posts(
        "/v1/events", _JSON, _five(lambda: _event(**{f"f{n}": 0 for n in range(50_000)}))
    ),
    "a context of 50,000 lists": _posts(
        "/v1/events", _JSON, _five(lambda: _event(context={str(n): [] for n in range(50_000)}))
    ),
    "2,000 events of 100 values": _posts(
        "/v1/events", _JSON, _five(lambda: json.dumps([{**_VIEW, "properties": {"v": [0] * 100}}] * 2_000).encode())
    ),
    "an item of 250,000 categories": _posts(
        "/v1/items", _JSON, _five(lambda: json.dumps({"item_id": "a", "categories": [0] * 250_000}).encode())
    ),
    "a million blank lines": _posts("/v1/events", _NDJSON, _five(lambda: b"\n" * 1_000_000 + _event())),
    "52,000 empty gzip members": _posts("/v1/events", _GZIP, _five(lambda: gzip.compress(b"") * 52_000)),
    "a gzip bomb": _posts("/v1/events", _GZIP, _five(lambda: gzip.compress(b" " * 50_000_000))),
    "invented countries": _posts("/v1/events", _JSON, _countries),
    f"impressions of {IMPRESSIONS:,} items of nobody": _posts("/v1/events", _JSON, _impressions),
    f"{PAIRS:,} invented ids of two people each": _pairs,
}
_READS: Final[dict[str, Abuse]] = {
    "filters of 64 invented fields": _gets(lambda _: [_list_of("abuser", filter=_invented(n)) for n in range(10)]),
    "ten boosts of invented fields": _gets(
        lambda _: [_list_of("abuser", boost=_invented_boosts(n)) for n in range(10)]
    ),
    "filters of all fields": _gets(lambda _: [_list_of("abuser", filter=_observed(n)) for n in range(10)]),
    "filters that take long to read": _gets(
        lambda _: [
            *(_list_of("abuser", filter=_longest_filter(n % ATTRIBUTES)) for n in range(5)),
            *(_list_of("abuser", filter=text) for text in _UNREADABLE),
        ]
    ),
    "filters of 60 parts of texts": _gets(lambda _: [_list_of("abuser", filter=_parts(n)) for n in range(5)]),
    "64 times the same category": _gets(lambda _: [_list_of("abuser", category=["games"] * 64)] * 5),
    "500 diverse items": _gets(lambda _: [_list_of(f"d{n}", count=500, diversity=1.0) for n in range(10)]),
    "searches of 70 words, far pages": _gets(_searches),
    "sessions of 200 events, scores of 1,000 items": _bodies,
    "compatibility": _gets(
        lambda target: [
            f"/v1/users/fan/compatibility?item_id=item-{n}" for n in range(0, target.items, target.items // 50)
        ]
    ),
    "similar items of all lengths": _gets(
        lambda _: [f"/v1/items/item-{n % 40}/similar?count={1 + n % 500}" for n in range(500)]
    ),
    "streams of one client": _streams,
    "taking over a model": _take_over,
    f"{STRANGERS:,} strangers, 300 items each": _gets(
        lambda _: [_list_of(f"stranger-{n}", count=300) for n in range(STRANGERS)], _AT_ONCE
    ),
}
ABUSES: Final[dict[str, Abuse]] = {"nothing": _quiet, **_READS, **_BODIES}
"""By what one would call it; ``nothing`` shows the noise of the machine."""
