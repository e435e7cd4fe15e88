"""Garbage and foreign types in a real Redis heal while workers run and after they start anew; values equal a plain fold."""

from __future__ import annotations

import random

import pytest

from nearline.recovery.verify import verify
from nearline.watch import Watch
from schemas.keys import Signal, commits_key, fence_key, values_key
from schemas.log import topics

redis_signals = pytest.importorskip("adapters.redis.signals")
pytestmark = pytest.mark.stack


@pytest.fixture
def server(redis_url):
    import redis

    with redis.Redis.from_url(redis_url) as client:
        yield client
        client.config_set("maxmemory", "0")


@pytest.fixture
def on_redis(hands, redis_url, site):
    """Hands whose signals are in Redis."""
    hands.store = redis_signals.RedisSignalStore(redis_url, f"{site}:")
    yield hands
    hands.store.close()


def of_another_type(server, name: str) -> None:
    server.delete(name)
    server.rpush(name, "foreign")


def damage(server, site: str, signal: str, what: str) -> None:
    fence, values, commits = (key(f"{site}:", 0, signal) for key in (fence_key, values_key, commits_key))
    match what:
        case "value":
            server.hset(values, random.Random(1).choice(sorted(server.hkeys(values))), b"\xc1 garbage")
        case "field":
            server.hset(values, b"\xff\xfe", b"?")
        case "fence":
            server.set(fence, "garbage")
        case "no fence":
            server.delete(fence)
        case "type of fence":
            of_another_type(server, fence)
        case "type of values":
            of_another_type(server, values)
        case "type of commits":
            of_another_type(server, commits)


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("signal", [Signal.USERS, Signal.AGGREGATES])
@pytest.mark.parametrize(
    "what", ["value", "field", "fence", "no fence", "type of fence", "type of values", "type of commits"]
)
def test_whatever_is_damaged_in_redis_heals_and_equals_a_plain_fold(on_redis, server, site, running, signal, what):
    for offset in range(90):
        on_redis.log.add(offset)
    worker = on_redis.keep()
    on_redis.settle(worker)
    damage(server, site, signal, what)
    if not running:
        worker = on_redis.keep()
    for offset in range(90, 120):
        worker.offer(on_redis.log.add(offset))
    watch = Watch(on_redis.log, on_redis.store)
    for _ in range(6):
        watch.check(worker.workers)
        on_redis.settle(worker)
    if what == "field":
        server.hdel(values_key(f"{site}:", 0, signal), b"\xff\xfe")
    report = verify(on_redis.log, on_redis.store, [topics.EVENTS])
    assert report.equal, report
    assert (on_redis.applied(), on_redis.applied("aggregates"), on_redis.clicks()) == (119, 119, 120)
    assert on_redis.refused == []


def test_a_redis_without_memory_holds_up_the_worker_until_it_has_some_and_costs_nothing(on_redis, server):
    worker = on_redis.keep()
    for offset in range(30):
        worker.offer(on_redis.log.add(offset))
    on_redis.settle(worker)
    server.config_set("maxmemory", "1")
    for offset in range(30, 60):
        worker.offer(on_redis.log.add(offset))
    on_redis.settle(worker)
    assert (on_redis.applied(), on_redis.store.load(0, Signal.USERS, ["u:user1"])[0] is not None) == (29, True)
    server.config_set("maxmemory", "0")
    on_redis.settle(worker)
    assert verify(on_redis.log, on_redis.store, [topics.EVENTS]).equal
    assert (on_redis.applied(), on_redis.clicks()) == (59, 60)
