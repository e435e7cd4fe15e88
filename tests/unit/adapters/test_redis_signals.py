"""What only the Redis adapters promise; the contract suite holds the rest."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from schemas.errors import StoreUnavailable
from schemas.keys import Signal
from schemas.records import Fence

NOBODY = "redis://user:secret@127.0.0.1:1/0"
LOG = "cluster/topic"

redis_signals = pytest.importorskip("adapters.redis_signals")


def test_a_missing_redis_is_one_sentence_without_its_password():
    with pytest.raises(StoreUnavailable, match="FRESHET_REDIS") as raised:
        redis_signals.RedisSignalStore(NOBODY).fence(0, Signal.USERS)
    assert "secret" not in str(raised.value)


async def test_a_missing_redis_is_unavailable_to_the_reader():
    reader = redis_signals.RedisSignalReader(NOBODY)
    with pytest.raises(StoreUnavailable):
        await reader.read(0, Signal.USERS, ["u:1"])
    await reader.close()


@pytest.fixture
def store(redis_url, site):
    made = redis_signals.RedisSignalStore(redis_url, f"{site}:")
    yield made
    made.close()


@pytest.mark.stack
def test_thousands_of_changes_come_whole(store, redis_url, site):
    many = {f"pop:{number}": b"v" * 50 for number in range(3_500)}
    store.commit(1, Signal.AGGREGATES, None, Fence(LOG, 4), {"pop:old": b"1"})
    store.commit(1, Signal.AGGREGATES, Fence(LOG, 4), Fence(LOG, 9), many)

    async def read():
        reader = redis_signals.RedisSignalReader(redis_url, f"{site}:")
        first, later = await asyncio.gather(
            reader.changes(1, Signal.AGGREGATES, None), reader.changes(1, Signal.AGGREGATES, Fence(LOG, 4))
        )
        await reader.close()
        return first, later

    first, later = asyncio.run(read())
    assert first.whole
    assert first.values == {**many, "pop:old": b"1"}
    assert not later.whole
    assert later.values == many


@pytest.mark.stack
def test_a_follower_who_is_too_far_behind_gets_everything(store, redis_url, site):
    offsets = (-1, 4, 9, redis_signals.TOLD + 20)
    for before, after in pairwise(offsets):
        store.commit(
            1, Signal.ITEMS, Fence(LOG, before) if before >= 0 else None, Fence(LOG, after), {str(after): b"1"}
        )

    async def read():
        reader = redis_signals.RedisSignalReader(redis_url, f"{site}:")
        found = [await reader.changes(1, Signal.ITEMS, Fence(LOG, offset)) for offset in offsets[1:]]
        await reader.close()
        return found

    behind, along, level = asyncio.run(read())
    assert behind.whole
    assert set(behind.values) == {str(offset) for offset in offsets[1:]}
    assert not along.whole
    assert set(along.values) == {str(offsets[-1])}
    assert (level.whole, level.values) == (False, {})


@pytest.mark.stack
def test_scripts_survive_a_redis_that_has_forgotten_them(store, redis_url):
    import redis

    store.commit(0, Signal.USERS, None, Fence(LOG, 1), {"u:1": b"a"})
    redis.Redis.from_url(redis_url).script_flush()
    store.commit(0, Signal.USERS, Fence(LOG, 1), Fence(LOG, 2), {"u:1": b"b"})
    assert store.load(0, Signal.USERS, ["u:1"]) == [b"b"]


@pytest.mark.stack
def test_a_redis_that_may_evict_is_warned_of(store, redis_url, capsys):
    import redis

    store.check()
    assert "redis_may_evict" not in capsys.readouterr().out
    client = redis.Redis.from_url(redis_url)
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        store.check()
    finally:
        client.config_set("maxmemory-policy", "noeviction")
    assert "redis_may_evict" in capsys.readouterr().out
