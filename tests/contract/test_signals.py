"""What every signal store and its reader guarantee, embedded and Redis."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from schemas.errors import FenceMoved, FormatUnknown, StoreUnavailable, ValueCorrupt
from schemas.keys import Signal
from schemas.log.fence import Fence
from schemas.ports import Replacement, SignalChanges, SignalValues
from schemas.values import tails

LOG = "log-one"
PARTITION = 3


def fence(offset: int, log_id: str = LOG) -> Fence:
    return Fence(log_id, offset)


@pytest.fixture
def store(open_signals):
    return open_signals.store()


@pytest.fixture
def read(open_signals):
    reader = open_signals.reader()

    def read(*keys, signal=Signal.USERS, partition=PARTITION) -> SignalValues:
        return open_signals.run(reader.read(partition, signal, keys))

    return read


@pytest.fixture
def changes(open_signals):
    reader = open_signals.reader()

    def changes(since, signal=Signal.AGGREGATES, partition=PARTITION) -> SignalChanges:
        return open_signals.run(reader.changes(partition, signal, since))

    return changes


def test_nothing_stands_in_a_new_store(store, read, changes):
    assert store.fence(PARTITION, Signal.USERS) is None
    assert store.load(PARTITION, Signal.USERS, ["a", "b"]) == [None, None]
    assert list(store.scan(PARTITION, Signal.USERS)) == []
    assert read("a") == SignalValues(None, [None])
    assert changes(None) == SignalChanges(None, {}, whole=True)


def test_a_commit_writes_values_and_fence_together(store, read):
    store.commit(PARTITION, Signal.USERS, None, fence(4), {"a": b"1", "b": b"2"})
    assert store.fence(PARTITION, Signal.USERS) == fence(4)
    assert store.load(PARTITION, Signal.USERS, ["b", "missing", "a"]) == [b"2", None, b"1"]
    assert read("b", "missing", "a") == SignalValues(fence(4), [b"2", None, b"1"])


def test_reading_no_keys_still_gives_the_fence(store, read):
    store.commit(PARTITION, Signal.USERS, None, fence(4), {})
    assert store.load(PARTITION, Signal.USERS, []) == []
    assert read() == SignalValues(fence(4), [])


def test_a_later_commit_replaces_adds_and_removes(store):
    store.commit(PARTITION, Signal.USERS, None, fence(1), {"a": b"1", "b": b"2", "c": b"3"})
    store.commit(PARTITION, Signal.USERS, fence(1), fence(2), {"a": b"new", "b": None, "d": b"4", "gone": None})
    assert dict(store.scan(PARTITION, Signal.USERS)) == {"a": b"new", "c": b"3", "d": b"4"}


def test_bytes_and_keys_come_back_as_they_were(store, read):
    values = {"u:naïve/ключ 鍵": bytes(range(256)), "u: spaces {p3} : tags": b"", "u:" + "k" * 128: b"x" * 200_000}
    store.commit(PARTITION, Signal.USERS, None, fence(0), values)
    assert dict(store.scan(PARTITION, Signal.USERS)) == values
    assert read(*values).values == list(values.values())


def test_reads_at_the_same_time_each_get_their_own_values(store, open_signals):
    reader = open_signals.reader()
    for partition in range(4):
        store.commit(partition, Signal.USERS, None, fence(partition), {"a": b"%d" % partition})

    async def together():
        reads = (reader.read(partition, Signal.USERS, ["a", "none"]) for partition in range(5))
        return await asyncio.gather(*reads)

    found = open_signals.run(together())
    assert found[:4] == [SignalValues(fence(n), [b"%d" % n, None]) for n in range(4)]
    assert found[4] == SignalValues(None, [None, None])


BASE = tails.BASE + b"base"
TAIL = tails.tail_key("u:a")
JOINED = tails.join(BASE, b"tail")


def test_a_base_and_its_tail_are_read_as_one_value(store, read):
    store.commit(PARTITION, Signal.USERS, None, fence(1), {"u:a": BASE, "u:b": b"whole", "u:c": BASE, TAIL: b"tail"})
    assert store.load(PARTITION, Signal.USERS, ["u:b", "u:a", "u:gone", "u:c"]) == [b"whole", JOINED, None, BASE]
    assert read("u:b", "u:a", "u:gone", "u:c") == SignalValues(fence(1), [b"whole", JOINED, None, BASE])
    assert sorted(store.scan(PARTITION, Signal.USERS)) == [("u:a", JOINED), ("u:b", b"whole"), ("u:c", BASE)]
    assert tails.split(JOINED) == (b"base", b"tail")


def test_a_tail_is_written_without_its_base(store, read):
    store.commit(PARTITION, Signal.USERS, None, fence(1), {"u:a": BASE})
    for offset in (2, 3):
        tail = b"t" * offset
        store.commit(PARTITION, Signal.USERS, fence(offset - 1), fence(offset), {TAIL: tail})
        assert read("u:a") == SignalValues(fence(offset), [tails.join(BASE, tail)])
    with pytest.raises(FenceMoved):
        store.commit(PARTITION, Signal.USERS, fence(2), fence(4), {TAIL: b"late"})
    assert read("u:a").values == [tails.join(BASE, b"ttt")]


def test_a_new_base_is_written_and_the_tail_removed_in_one_commit(store, read):
    store.commit(PARTITION, Signal.USERS, None, fence(1), {"u:a": BASE, TAIL: b"tail"})
    store.commit(PARTITION, Signal.USERS, fence(1), fence(2), {"u:a": BASE + b" anew", TAIL: None})
    assert read("u:a").values == [BASE + b" anew"]


def test_a_value_is_removed_with_its_tail(store, read):
    store.commit(PARTITION, Signal.USERS, None, fence(1), {"u:a": BASE, TAIL: b"tail"})
    store.commit(PARTITION, Signal.USERS, fence(1), fence(2), {"u:a": None})
    store.commit(PARTITION, Signal.USERS, fence(2), fence(3), {"u:a": BASE})
    assert read("u:a").values == [BASE]


def test_a_tail_beside_a_whole_value_is_a_remnant(store, read):
    store.commit(PARTITION, Signal.USERS, None, fence(1), {"u:a": b"whole", TAIL: b"tail"})
    assert read("u:a").values == store.load(PARTITION, Signal.USERS, ["u:a"]) == [b"whole"]
    assert dict(store.scan(PARTITION, Signal.USERS)) == {"u:a": b"whole"}


def test_values_of_other_signals_have_no_parts(store, read):
    values = {"a": BASE, "+a": b"tail"}
    store.commit(PARTITION, Signal.ITEMS, None, fence(1), values)
    store.commit(PARTITION, Signal.ITEMS, fence(1), fence(2), {"b": None})
    assert read("a", "+a", signal=Signal.ITEMS).values == [BASE, b"tail"]
    assert store.load(PARTITION, Signal.ITEMS, ["a"]) == [BASE]
    assert dict(store.scan(PARTITION, Signal.ITEMS)) == values


def test_many_values_in_parts_are_read_at_once(store, read):
    bases = {f"u:{n}": tails.BASE + b"%d" % n for n in range(1_300)}
    values = bases | {tails.tail_key(key): b"tail of " + key.encode() for key in list(bases)[::2]}
    joined = {key: tails.join(base, values.get(tails.tail_key(key))) for key, base in bases.items()}
    store.commit(PARTITION, Signal.USERS, None, fence(1), values)
    assert dict(store.scan(PARTITION, Signal.USERS, 100)) == joined
    assert store.load(PARTITION, Signal.USERS, list(joined)) == list(joined.values())
    assert read(*list(joined)[:500]).values == list(joined.values())[:500]


def test_many_values_go_in_one_commit(store):
    values = {f"pop:{i}": str(i).encode() for i in range(3_000)}
    store.commit(PARTITION, Signal.AGGREGATES, None, fence(0), values)
    assert store.load(PARTITION, Signal.AGGREGATES, list(values)) == list(values.values())
    assert dict(store.scan(PARTITION, Signal.AGGREGATES)) == values


@pytest.mark.parametrize("signal", list(Signal))
@pytest.mark.parametrize("expected", [None, fence(3), fence(5), Fence("another log", 4)])
def test_a_commit_from_a_wrong_fence_writes_nothing(store, signal, expected):
    store.commit(PARTITION, signal, None, fence(4), {"a": b"1"})
    with pytest.raises(FenceMoved) as moved:
        store.commit(PARTITION, signal, expected, fence(6), {"a": b"2", "b": b"2"})
    assert moved.value.actual == fence(4)
    assert store.fence(PARTITION, signal) == fence(4)
    assert dict(store.scan(PARTITION, signal)) == {"a": b"1"}


def test_a_commit_onto_a_fence_that_is_gone_says_so(store):
    with pytest.raises(FenceMoved) as moved:
        store.commit(PARTITION, Signal.USERS, fence(4), fence(5), {"a": b"1"})
    assert moved.value.actual is None
    assert list(store.scan(PARTITION, Signal.USERS)) == []


def test_partitions_and_signals_are_apart(store, read):
    store.commit(PARTITION, Signal.USERS, None, fence(4), {"a": b"users"})
    store.commit(PARTITION + 1, Signal.USERS, None, fence(9), {"a": b"next door"})
    store.commit(PARTITION, Signal.AGGREGATES, None, fence(2), {"a": b"cells"})
    assert read("a") == SignalValues(fence(4), [b"users"])
    assert read("a", partition=PARTITION + 1) == SignalValues(fence(9), [b"next door"])
    assert read("a", signal=Signal.AGGREGATES) == SignalValues(fence(2), [b"cells"])
    store.reset(PARTITION, Signal.USERS, fence(4), fence(-1))
    assert read("a", partition=PARTITION + 1).values == [b"next door"]
    assert read("a", signal=Signal.AGGREGATES).values == [b"cells"]


def test_a_reset_removes_everything_and_sets_the_fence(store, read, changes):
    store.commit(PARTITION, Signal.AGGREGATES, None, fence(4), {"a": b"1", "b": b"2"})
    store.reset(PARTITION, Signal.AGGREGATES, fence(4), Fence("log-two", -1))
    assert store.fence(PARTITION, Signal.AGGREGATES) == Fence("log-two", -1)
    assert list(store.scan(PARTITION, Signal.AGGREGATES)) == []
    assert changes(fence(4)) == SignalChanges(Fence("log-two", -1), {}, whole=True)
    assert changes(None) == SignalChanges(Fence("log-two", -1), {}, whole=True)


def test_a_reset_from_a_wrong_fence_removes_nothing(store):
    store.commit(PARTITION, Signal.USERS, None, fence(4), {"a": b"1"})
    with pytest.raises(FenceMoved) as moved:
        store.reset(PARTITION, Signal.USERS, fence(3), Fence("log-two", -1))
    assert moved.value.actual == fence(4)
    assert dict(store.scan(PARTITION, Signal.USERS)) == {"a": b"1"}


OTHER = Fence("log-two", -1)


def test_a_reset_sets_values_aside_and_a_restore_brings_them_back(store, read, changes):
    store.commit(PARTITION, Signal.AGGREGATES, None, fence(4), {"a": b"1", "b": b"2"})
    assert store.aside(PARTITION, Signal.AGGREGATES) is None
    store.reset(PARTITION, Signal.AGGREGATES, fence(4), OTHER)
    assert store.aside(PARTITION, Signal.AGGREGATES) == fence(4)
    store.commit(PARTITION, Signal.AGGREGATES, OTHER, Fence("log-two", 7), {"c": b"3"})
    store.restore(PARTITION, Signal.AGGREGATES, Fence("log-two", 7))
    assert store.fence(PARTITION, Signal.AGGREGATES) == fence(4)
    assert dict(store.scan(PARTITION, Signal.AGGREGATES)) == {"a": b"1", "b": b"2"}
    assert store.aside(PARTITION, Signal.AGGREGATES) is None
    assert changes(Fence("log-two", 7)) == SignalChanges(fence(4), {"a": b"1", "b": b"2"}, whole=True)


def test_a_second_reset_keeps_the_values_that_are_aside(store):
    store.commit(PARTITION, Signal.USERS, None, fence(4), {"a": b"whole"})
    store.reset(PARTITION, Signal.USERS, fence(4), OTHER)
    store.commit(PARTITION, Signal.USERS, OTHER, Fence("log-two", 7), {"a": b"part"})
    store.reset(PARTITION, Signal.USERS, Fence("log-two", 7), Fence("log-three", -1))
    assert list(store.scan(PARTITION, Signal.USERS)) == []
    store.restore(PARTITION, Signal.USERS, Fence("log-three", -1))
    assert dict(store.scan(PARTITION, Signal.USERS)) == {"a": b"whole"}


def test_values_aside_are_gone_once_they_are_discarded(store):
    store.commit(PARTITION, Signal.USERS, None, fence(4), {"a": b"1"})
    store.reset(PARTITION, Signal.USERS, fence(4), OTHER)
    store.discard_aside(PARTITION, Signal.USERS)
    assert store.aside(PARTITION, Signal.USERS) is None
    store.restore(PARTITION, Signal.USERS, OTHER)
    assert (store.fence(PARTITION, Signal.USERS), list(store.scan(PARTITION, Signal.USERS))) == (OTHER, [])


def test_an_empty_partition_has_nothing_to_set_aside(store):
    store.reset(PARTITION, Signal.USERS, None, fence(-1))
    store.reset(PARTITION, Signal.USERS, fence(-1), OTHER)
    assert store.aside(PARTITION, Signal.USERS) is None


def test_a_restore_from_a_wrong_fence_changes_nothing(store):
    store.commit(PARTITION, Signal.USERS, None, fence(4), {"a": b"1"})
    store.reset(PARTITION, Signal.USERS, fence(4), OTHER)
    with pytest.raises(FenceMoved):
        store.restore(PARTITION, Signal.USERS, fence(4))
    assert (store.fence(PARTITION, Signal.USERS), store.aside(PARTITION, Signal.USERS)) == (OTHER, fence(4))


def test_changes_are_what_commits_after_a_fence_have_written(store, changes):
    store.commit(PARTITION, Signal.AGGREGATES, None, fence(4), {"a": b"1", "b": b"1"})
    store.commit(PARTITION, Signal.AGGREGATES, fence(4), fence(8), {"b": b"2", "c": b"2"})
    store.commit(PARTITION, Signal.AGGREGATES, fence(8), fence(9), {"c": b"3"})
    assert changes(None) == SignalChanges(fence(9), {"a": b"1", "b": b"2", "c": b"3"}, whole=True)
    assert changes(fence(4)) == SignalChanges(fence(9), {"b": b"2", "c": b"3"}, whole=False)
    assert changes(fence(8)) == SignalChanges(fence(9), {"c": b"3"}, whole=False)
    assert changes(fence(9)) == SignalChanges(fence(9), {}, whole=False)


def test_changes_since_a_fence_in_between_miss_nothing(store, changes):
    store.commit(PARTITION, Signal.ITEMS, None, fence(4), {"a": b"1"})
    store.commit(PARTITION, Signal.ITEMS, fence(4), fence(8), {"b": b"2"})
    assert changes(fence(6), signal=Signal.ITEMS).values == {"b": b"2"}


@pytest.mark.parametrize("since", [fence(20), Fence("another log", 2)])
def test_a_follower_of_a_fence_that_went_back_or_of_another_log_gets_everything(store, changes, since):
    store.commit(PARTITION, Signal.AGGREGATES, None, fence(4), {"a": b"1", "b": b"1"})
    assert changes(since) == SignalChanges(fence(4), {"a": b"1", "b": b"1"}, whole=True)


def test_a_follower_that_polls_ends_with_what_the_store_holds(store, changes):
    followed: dict[str, bytes] = {}
    since, expected = None, None
    for offset in range(0, 120, 2):
        values = {f"k{offset % 7}": str(offset).encode(), f"k{offset % 11}": str(-offset).encode()}
        store.commit(PARTITION, Signal.AGGREGATES, expected, fence(offset), values)
        expected = fence(offset)
        if offset % 6 == 0:
            found = changes(since)
            followed = found.values if found.whole else {**followed, **found.values}
            since = found.fence
    followed.update(changes(since).values)
    assert followed == dict(store.scan(PARTITION, Signal.AGGREGATES))


def test_of_racing_committers_exactly_one_wins_each_step(open_signals, store):
    def race(name: str) -> list[int]:
        mine, won = open_signals.store(), []
        while (at := mine.fence(PARTITION, Signal.USERS)) is None or at.offset < 40:
            step = at.offset + 1 if at else 0
            try:
                mine.commit(PARTITION, Signal.USERS, at, fence(step), {f"{step}": name.encode(), "last": name.encode()})
            except FenceMoved:
                continue
            won.append(step)
        return won

    with ThreadPoolExecutor(3) as pool:
        names = ["x", "y", "z"]
        won = dict(zip(names, pool.map(race, names), strict=True))
    assert sorted(step for steps in won.values() for step in steps) == list(range(41))
    values = dict(store.scan(PARTITION, Signal.USERS))
    assert all(values[str(step)] == name.encode() for name, steps in won.items() for step in steps)
    assert values["last"] == values["40"]


def test_a_reader_never_sees_values_of_one_commit_with_the_fence_of_another(open_signals, store, read):
    def commit_all() -> None:
        mine, at = open_signals.store(), None
        for offset in range(200):
            data = str(offset).encode()
            mine.commit(PARTITION, Signal.USERS, at, fence(offset), {"a": data, "b": data})
            at = fence(offset)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(commit_all)
        while not done.done():
            found = read("a", "b")
            if found.fence is not None:
                assert found.values == [str(found.fence.offset).encode()] * 2
        done.result()


def test_what_was_committed_is_there_for_a_store_opened_later(open_signals, store):
    store.commit(PARTITION, Signal.USERS, None, fence(4), {"a": b"1"})
    store.close()
    later = open_signals.store()
    assert later.fence(PARTITION, Signal.USERS) == fence(4)
    assert later.load(PARTITION, Signal.USERS, ["a"]) == [b"1"]


def test_fences_of_several_partitions_are_read_together_and_those_without_one_left_out(store, open_signals):
    reader = open_signals.reader()
    for partition in (1, 4):
        store.commit(partition, Signal.USERS, None, fence(partition), {"a": b"1"})
    store.commit(2, Signal.ITEMS, None, fence(9), {"a": b"1"})
    assert open_signals.run(reader.fences(Signal.USERS, (1, 2, 4))) == {1: fence(1), 4: fence(4)}


@pytest.mark.parametrize("what", ["fence", "type of fence"])
def test_a_foreign_fence_is_named_as_corrupt_and_gone_once_it_is_discarded(store, read, changes, open_signals, what):
    store.commit(PARTITION, Signal.AGGREGATES, None, fence(4), {"a": b"1"})
    store.commit(PARTITION + 1, Signal.AGGREGATES, None, fence(4), {"a": b"1"})
    open_signals.damage(PARTITION, Signal.AGGREGATES, what)
    for call in (
        lambda: store.fence(PARTITION, Signal.AGGREGATES),
        lambda: store.commit(PARTITION, Signal.AGGREGATES, fence(4), fence(5), {"a": b"2"}),
        lambda: store.reset(PARTITION, Signal.AGGREGATES, fence(4), OTHER),
        lambda: read("a", signal=Signal.AGGREGATES),
        lambda: changes(fence(4)),
        lambda: changes(None),
    ):
        with pytest.raises((ValueCorrupt, FenceMoved)):
            call()
    fences = open_signals.run(open_signals.reader().fences(Signal.AGGREGATES, (PARTITION, PARTITION + 1)))
    assert fences == {PARTITION + 1: fence(4)}
    store.discard(PARTITION, Signal.AGGREGATES)
    assert store.fence(PARTITION, Signal.AGGREGATES) is None
    assert list(store.scan(PARTITION, Signal.AGGREGATES)) == []
    assert list(store.scan(PARTITION + 1, Signal.AGGREGATES)) == [("a", b"1")]


def test_a_foreign_value_is_empty_bytes_and_no_other_value_is_touched(store, read, changes, open_signals):
    store.commit(PARTITION, Signal.AGGREGATES, None, fence(4), {"a": b"1", "b": b"2"})
    open_signals.damage(PARTITION, Signal.AGGREGATES, "value of a")
    assert store.load(PARTITION, Signal.AGGREGATES, ["a", "b"]) == [b"", b"2"]
    assert read("a", "b", signal=Signal.AGGREGATES).values == [b"", b"2"]
    assert changes(None).values == {"a": b"", "b": b"2"}
    assert dict(store.scan(PARTITION, Signal.AGGREGATES)) == {"a": b"", "b": b"2"}


def test_a_commit_at_the_same_fence_replaces_a_value(store, read):
    store.commit(PARTITION, Signal.USERS, None, fence(4), {"a": b"1", "b": b"2"})
    store.commit(PARTITION, Signal.USERS, fence(4), fence(4), {"a": b"mended", "b": None})
    assert read("a", "b") == SignalValues(fence(4), [b"mended", None])


def test_a_scan_of_many_values_gives_each_once(store):
    values = {f"k{number}": str(number).encode() for number in range(1_501)}
    store.commit(PARTITION, Signal.USERS, None, fence(4), values)
    assert sorted(store.scan(PARTITION, Signal.USERS)) == sorted(values.items())


def test_a_replacement_puts_other_values_and_their_fence_in_place_of_all(store, read, changes):
    store.commit(PARTITION, Signal.AGGREGATES, None, fence(4), {"a": b"1", "b": b"2"})
    batches = [{"b": b"old", "c": b"3", "d": b"4"}, {}, {"b": b"new", "d": None}]
    store.replace(PARTITION, [Replacement(Signal.AGGREGATES, fence(4), fence(9), batches)])
    assert dict(store.scan(PARTITION, Signal.AGGREGATES)) == {"b": b"new", "c": b"3"}
    assert store.fence(PARTITION, Signal.AGGREGATES) == fence(9)
    assert changes(fence(4))[:2] == (fence(9), {"b": b"new", "c": b"3"})
    store.commit(PARTITION, Signal.AGGREGATES, fence(9), fence(10), {"c": b"5"})
    assert changes(fence(9)) == SignalChanges(fence(10), {"c": b"5"}, whole=False)


def test_a_replacement_by_nothing_leaves_an_empty_signal_with_a_fence(store):
    store.commit(PARTITION, Signal.USERS, None, fence(4), {"a": b"1"})
    store.replace(PARTITION, [Replacement(Signal.USERS, fence(4), fence(7), [])])
    assert list(store.scan(PARTITION, Signal.USERS)) == []
    assert store.fence(PARTITION, Signal.USERS) == fence(7)


def test_a_replacement_that_loses_the_fence_or_fails_midway_changes_nothing(store):
    store.commit(PARTITION, Signal.USERS, None, fence(4), {"a": b"1"})
    with pytest.raises(FenceMoved):
        store.replace(PARTITION, [Replacement(Signal.USERS, None, fence(9), [{"b": b"2"}])])

    def broken():
        yield {"b": b"2"}
        raise OSError("the file ends here")

    with pytest.raises((OSError, StoreUnavailable)):
        store.replace(PARTITION, [Replacement(Signal.USERS, fence(4), fence(9), broken())])
    assert dict(store.scan(PARTITION, Signal.USERS)) == {"a": b"1"}
    assert store.fence(PARTITION, Signal.USERS) == fence(4)


def test_several_signals_are_replaced_together_or_not_at_all(store):
    store.commit(PARTITION, Signal.USERS, None, fence(4), {"a": b"1"})
    store.commit(PARTITION, Signal.AGGREGATES, None, fence(3), {"a": b"1"})
    users = Replacement(Signal.USERS, fence(4), fence(9), [{"b": b"2"}])
    with pytest.raises(FenceMoved) as moved:
        store.replace(PARTITION, [users, Replacement(Signal.AGGREGATES, fence(4), fence(9), [{"b": b"2"}])])
    assert (moved.value.signal, moved.value.actual) == (Signal.AGGREGATES, fence(3))
    assert dict(store.scan(PARTITION, Signal.USERS)) == {"a": b"1"}
    store.replace(PARTITION, [users, Replacement(Signal.AGGREGATES, fence(3), fence(8), [{"b": b"3"}])])
    assert dict(store.scan(PARTITION, Signal.USERS)) == {"b": b"2"}
    assert dict(store.scan(PARTITION, Signal.AGGREGATES)) == {"b": b"3"}


def test_a_replacement_may_move_a_fence_back_that_has_moved_on_but_not_forward_or_to_another_log(store):
    store.commit(PARTITION, Signal.USERS, None, fence(4), {"a": b"1"})
    back = Replacement(Signal.USERS, fence(2), fence(3), [{"a": b"0"}])
    with pytest.raises(FenceMoved):
        store.replace(PARTITION, [back])
    for refused in (back._replace(fence=fence(5)), back._replace(fence=fence(3, "log-two"))):
        with pytest.raises(FenceMoved):
            store.replace(PARTITION, [refused], back=True)
    store.replace(PARTITION, [back], back=True)
    assert (store.fence(PARTITION, Signal.USERS), dict(store.scan(PARTITION, Signal.USERS))) == (fence(3), {"a": b"0"})


@pytest.mark.stack
def test_signals_of_a_later_format_are_not_taken_for_damaged_ones(redis_url, site):
    """A fence of a later release must not heal away: the process says that it is too old."""
    import redis

    from adapters.redis.signals import RedisSignalStore
    from schemas.keys import fence_key

    with closing(RedisSignalStore(redis_url, f"{site}:")) as store, redis.Redis.from_url(redis_url) as client:
        client.set(fence_key(f"{site}:", PARTITION, Signal.USERS), b"v2:7@log-one")
        for call in (
            lambda: store.fence(PARTITION, Signal.USERS),
            lambda: store.commit(PARTITION, Signal.USERS, fence(7), fence(8), {"a": b"1"}),
        ):
            with pytest.raises(FormatUnknown, match="later release"):
                call()
