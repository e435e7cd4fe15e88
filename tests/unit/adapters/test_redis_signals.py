"""What only the Redis adapters promise; the contract suite holds the rest."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from schemas.errors import ConfigurationInvalid, FreshetError, StoreUnavailable, ValueCorrupt
from schemas.keys import Signal, commits_key, fence_key, values_key
from schemas.log.fence import Fence

NO_SERVER = "redis://user:secret@127.0.0.1:1/0"
LOG = "cluster/topic"

redis_signals = pytest.importorskip("adapters.redis.signals")


def test_a_missing_redis_is_one_sentence_without_its_password():
    with pytest.raises(StoreUnavailable, match="FRESHET_REDIS") as raised:
        redis_signals.RedisSignalStore(NO_SERVER).fence(0, Signal.USERS)
    assert "secret" not in str(raised.value)


async def test_a_missing_redis_is_unavailable_to_the_reader():
    reader = redis_signals.RedisSignalReader(NO_SERVER)
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


@pytest.fixture
def follow(redis_url, site):
    """What a follower of the items of partition 1 gets, by the offset that it has followed to."""

    async def read(offsets):
        reader = redis_signals.RedisSignalReader(redis_url, f"{site}:")
        found = [await reader.changes(1, Signal.ITEMS, Fence(LOG, offset)) for offset in offsets]
        await reader.close()
        return found

    return lambda *offsets: asyncio.run(read(offsets))


def commit(store, *offsets):
    for before, after in pairwise(offsets):
        store.commit(
            1, Signal.ITEMS, Fence(LOG, before) if before >= 0 else None, Fence(LOG, after), {str(after): b"1"}
        )


@pytest.mark.stack
def test_a_follower_who_is_too_many_offsets_behind_gets_everything(store, follow):
    far = redis_signals.ANNOUNCED_OFFSETS + 20
    commit(store, -1, 4, 9, far)
    behind, along, level = follow(4, 9, far)
    assert behind.whole
    assert set(behind.values) == {"4", "9", str(far)}
    assert not along.whole
    assert set(along.values) == {str(far)}
    assert (level.whole, level.values) == (False, {})


@pytest.mark.stack
def test_a_follower_who_is_too_many_commits_behind_gets_everything(store, follow, monkeypatch):
    monkeypatch.setattr(redis_signals, "ANNOUNCED", 2)
    commit(store, -1, 1, 2, 3, 4)
    behind, along = follow(1, 2)
    assert behind.whole
    assert not along.whole
    assert set(along.values) == {"3", "4"}


@pytest.mark.stack
def test_what_a_writer_of_another_version_did_not_tell_of_is_read_with_everything(store, follow, redis_url, site):
    import redis

    untold = redis.Redis.from_url(redis_url)
    commit(store, -1, 1, 2)
    untold.set(fence_key(f"{site}:", 1, Signal.ITEMS), f"5@{LOG}")
    assert follow(1)[0].whole, "at the end"
    commit(store, 5, 6)
    in_the_middle, at_the_beginning, after = follow(1, 2, 5)
    assert in_the_middle.whole
    assert at_the_beginning.whole
    assert (after.whole, set(after.values)) == (False, {"6"})


@pytest.mark.stack
def test_commits_without_values_and_of_many_removals_are_followed(store, follow):
    many = {f"item-{number}": b"1" for number in range(2_300)}
    store.commit(1, Signal.ITEMS, None, Fence(LOG, 1), many)
    store.commit(1, Signal.ITEMS, Fence(LOG, 1), Fence(LOG, 2), {})
    store.commit(1, Signal.ITEMS, Fence(LOG, 2), Fence(LOG, 3), {**dict.fromkeys(many), "left": b"2"})
    [found] = follow(1)
    assert (found.whole, found.values) == (False, {"left": b"2"})
    assert dict(store.scan(1, Signal.ITEMS)) == {"left": b"2"}


@pytest.mark.stack
def test_scripts_survive_a_redis_that_has_forgotten_them(store, redis_url):
    import redis

    store.commit(0, Signal.USERS, None, Fence(LOG, 1), {"u:1": b"a"})
    redis.Redis.from_url(redis_url).script_flush()
    store.commit(0, Signal.USERS, Fence(LOG, 1), Fence(LOG, 2), {"u:1": b"b"})
    assert store.load(0, Signal.USERS, ["u:1"]) == [b"b"]


@pytest.mark.stack
def test_a_redis_that_may_evict_is_refused_unless_the_site_accepts_that(store, redis_url, capsys):
    import redis

    store.check()
    client = redis.Redis.from_url(redis_url)
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(ConfigurationInvalid, match="FRESHET_ALLOW_EVICTION=true to accept that"):
            store.check()
        store.check(allow_eviction=True)
    finally:
        client.config_set("maxmemory-policy", "noeviction")
    assert "redis_may_evict" in capsys.readouterr().out


@pytest.mark.stack
def test_a_store_without_memory_says_so_and_still_gives_up_values_aside(redis_url, site):
    import redis

    from schemas.errors import StoreFull

    store = redis_signals.RedisSignalStore(redis_url, f"{site}:")
    store.commit(0, "users", None, Fence("one", 0), {"a": b"1"})
    store.reset(0, "users", Fence("one", 0), Fence("two", -1))
    server = redis.Redis.from_url(redis_url)
    server.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreFull, match="maxmemory"):
            store.commit(0, "users", Fence("two", -1), Fence("two", 0), {"a": b"1"})
        store.discard_aside(0, "users")
        assert store.aside(0, "users") is None
    finally:
        server.config_set("maxmemory", "0")
        store.close()


@pytest.fixture
def server(redis_url):
    """The Redis under the store, to do what only an operator or a stranger does."""
    import redis

    with redis.Redis.from_url(redis_url) as client:
        yield client
        client.config_set("maxmemory", "0")
        client.execute_command("REPLICAOF", "NO", "ONE")


def everything(server, site: str) -> dict[bytes, bytes]:
    return {key: server.dump(key) for key in sorted(server.keys(f"{site}:*"))}


def foreign_type(server, name: str) -> None:
    server.delete(name)
    server.rpush(name, "foreign")


FAILURES = {
    "foreign fence": lambda server, keys: foreign_type(server, keys[0]),
    "foreign values": lambda server, keys: foreign_type(server, keys[1]),
    "no memory": lambda server, _: server.config_set("maxmemory", "1"),
    "read-only replica": lambda server, _: server.execute_command("REPLICAOF", "127.0.0.1", "1"),
}


@pytest.mark.stack
@pytest.mark.parametrize("signal", [Signal.USERS, Signal.AGGREGATES])
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("changed", [{"a": b"2", "c": b"3"}, {"a": None}, {}])
def test_a_commit_that_fails_has_written_nothing(store, server, site, signal, failure, changed):
    """Removals alone need no memory. Then the commit may succeed, but as a whole."""
    store.commit(1, signal, None, Fence(LOG, 4), {"a": b"1", "b": b"1"})
    FAILURES[failure](server, [fence_key(f"{site}:", 1, signal), values_key(f"{site}:", 1, signal)])
    before = everything(server, site)
    try:
        store.commit(1, signal, Fence(LOG, 4), Fence(LOG, 5), changed)
    except FreshetError:
        assert everything(server, site) == before
    else:
        assert (failure, changed) == ("no memory", {"a": None})
        assert store.fence(1, signal) == Fence(LOG, 5)


@pytest.mark.stack
def test_foreign_commits_are_told_anew_and_hold_up_nothing(store, server, site, follow):
    commit(store, -1, 1, 2)
    foreign_type(server, commits_key(f"{site}:", 1, Signal.ITEMS))
    assert follow(1)[0].whole
    commit(store, 2, 3)
    assert (store.fence(1, Signal.ITEMS), follow(2)[0].values) == (Fence(LOG, 3), {"3": b"1"})
    server.zadd(commits_key(f"{site}:", 1, Signal.ITEMS), {b"\xc1 not a commit": 3})
    assert set(follow(2)[0].values) == {"1", "2", "3"}


@pytest.mark.stack
def test_fields_that_are_no_text_are_passed_over(store, server, site, follow):
    commit(store, -1, 1)
    server.hset(values_key(f"{site}:", 1, Signal.ITEMS), b"\xff\xfe", b"?")
    assert dict(store.scan(1, Signal.ITEMS)) == {"1": b"1"}
    assert follow(-1)[0].values == {"1": b"1"}


@pytest.mark.stack
@pytest.mark.parametrize("part", ["values", "fence aside", "values aside"])
def test_a_reset_gets_rid_of_foreign_types(store, server, site, part):
    store.commit(1, Signal.USERS, None, Fence(LOG, 4), {"a": b"1"})
    aside = f"{Signal.USERS}:aside"
    name = {"values": values_key(f"{site}:", 1, Signal.USERS), "fence aside": fence_key(f"{site}:", 1, aside)}
    foreign_type(server, name.get(part, values_key(f"{site}:", 1, aside)))
    if part == "fence aside":
        with pytest.raises(ValueCorrupt):
            store.aside(1, Signal.USERS)
        store.discard_aside(1, Signal.USERS)
    store.reset(1, Signal.USERS, Fence(LOG, 4), Fence(LOG, -1))
    assert store.aside(1, Signal.USERS) == Fence(LOG, 4)
    store.commit(1, Signal.USERS, Fence(LOG, -1), Fence(LOG, 0), {"a": b"2"})
    store.restore(1, Signal.USERS, Fence(LOG, 0))
    assert dict(store.scan(1, Signal.USERS)) == ({} if part == "values" else {"a": b"1"})
