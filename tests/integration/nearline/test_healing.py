"""A stored value, counter or fence that cannot be read is made anew from the log, and equals a plain fold of it."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nearline.processor import SIGNALS
from nearline.recovery.scrub import BYTES, Scrub
from nearline.recovery.verify import verify
from nearline.waiting_records import MAX_UNAPPLICABLE
from nearline.watch import Watch
from schemas.catalogue import Upsert, decode_item, encode_upsert
from schemas.errors import UNREADABLE, ValueCorrupt
from schemas.keys import Signal
from schemas.log import topics
from schemas.log.fence import Fence
from signals import aggregates, user_codec

FOREIGN = st.one_of(
    st.binary(max_size=60),
    st.recursive(
        st.none() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=4) | st.binary(max_size=4),
        lambda inner: st.lists(inner, max_size=14) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=20,
    ).map(msgspec.msgpack.encode),
)


def is_unreadable(signal: str, key: str, data: bytes) -> bool:
    try:
        user_codec.decode(data) if signal == Signal.USERS else aggregates.decode(key, data)
    except UNREADABLE:
        return True
    return False


def fill(hands, begin: int, end: int) -> None:
    for offset in range(begin, end):
        hands.log.add(offset)
    hands.settle(hands.keep())


def assert_whole(hands, count: int) -> None:
    report = verify(hands.log, hands.store, [topics.EVENTS])
    assert report.equal, report
    assert (hands.applied(), hands.applied("aggregates"), hands.clicks()) == (count - 1, count - 1, count)
    assert hands.refused == []


@given(data=st.data(), foreign=FOREIGN, signal=st.sampled_from(SIGNALS[topics.EVENTS]), cut=st.booleans())
@settings(max_examples=60)
def test_whatever_stands_in_place_of_a_value_is_healed_and_equals_a_plain_fold(new_hands, data, foreign, signal, cut):
    hands = new_hands()
    fill(hands, 0, 60)
    stored = hands.store.stored(signal)
    key = data.draw(st.sampled_from(sorted(stored)))
    wrong = stored[key][: data.draw(st.integers(0, len(stored[key]) - 1))] if cut else foreign
    assume(is_unreadable(signal, key, wrong))
    stored[key] = wrong
    fill(hands, 60, 130)
    assert_whole(hands, 130)


def test_one_corrupt_user_is_folded_anew_and_the_values_of_all_others_stay(hands):
    fill(hands, 0, 60)
    stored = hands.store.stored(Signal.USERS)
    right = dict(stored)
    stored["u:user3"] = b"\xc1 not a value"
    hands.log.add(63)
    hands.store.resets = 0
    hands.settle(hands.keep())
    assert {key for key in right if right[key] != stored[key]} == {"u:user3"}
    assert user_codec.decode(stored["u:user3"]).offset == 63
    assert hands.store.resets == 0
    assert verify(hands.log, hands.store, [topics.EVENTS]).equal


def test_what_retention_has_removed_of_a_corrupt_user_comes_from_the_archive(hands):
    fill(hands, 0, 60)
    hands.archived(until=40)
    hands.store.stored(Signal.USERS)["u:user3"] = b""
    fill(hands, 60, 70)
    hands.log.begin.clear()
    assert_whole(hands, 70)


def test_a_corrupt_counter_rebuilds_the_aggregates_with_the_users_whose_histories_they_follow(hands):
    fill(hands, 0, 900)  # more of each user than a value remembers
    hands.store.stored(Signal.AGGREGATES)["next:item3"] = b"\xff"
    fill(hands, 900, 910)
    assert_whole(hands, 910)


def test_where_the_first_records_are_gone_only_the_corrupt_counter_begins_anew(hands):
    fill(hands, 0, 60)
    before = dict(hands.store.stored(Signal.AGGREGATES))
    hands.log.begin[topics.EVENTS, 0] = 40
    hands.store.stored(Signal.AGGREGATES)["pop:item3"] = b"\xff"
    hands.store.resets = 0
    fill(hands, 60, 67)
    assert hands.store.resets == 0
    after = hands.store.stored(Signal.AGGREGATES)
    assert before.keys() <= after.keys()
    assert aggregates.decode("pop:item3", after["pop:item3"]).types["click"].count == 1
    assert aggregates.decode("pop:item4", after["pop:item4"]).types["click"].count == 9


@pytest.mark.parametrize("signal", SIGNALS[topics.EVENTS])
def test_a_fence_that_cannot_be_read_rebuilds_its_signal(hands, signal):
    fill(hands, 0, 60)
    hands.store.unreadable.add((0, signal))
    fill(hands, 60, 70)
    assert_whole(hands, 70)


def test_a_fence_of_aggregates_that_is_gone_rebuilds_them_with_the_users(hands):
    fill(hands, 0, 900)
    hands.store.discard(0, Signal.AGGREGATES)
    fill(hands, 900, 910)
    assert_whole(hands, 910)


def test_values_that_a_failed_commit_left_ahead_of_the_fence_are_folded_anew(hands):
    fill(hands, 0, 60)
    behind = dict(hands.store.stored(Signal.USERS))
    fill(hands, 60, 90)
    ahead = dict(hands.store.stored(Signal.USERS))
    assert behind != ahead
    hands.store.put_fence(0, Signal.USERS, Fence(hands.log.id, 59))
    fill(hands, 90, 95)
    assert verify(hands.log, hands.store, [topics.EVENTS]).equal


def test_a_corrupt_item_is_made_anew_from_its_own_records(hands):
    for offset in range(6):
        fields = {"title": f"Title {offset}"}
        change = Upsert(id=f"item{offset % 2}", op="patch", fields=fields, received_at=datetime.now(UTC))
        hands.log.put(offset, encode_upsert(change), topics.ITEMS)
    hands.settle(hands.loop())
    hands.store.stored(Signal.ITEMS)["item1"] = b"{"
    change = Upsert(id="item1", op="patch", fields={"tags": ["new"]}, received_at=datetime.now(UTC))
    hands.log.put(6, encode_upsert(change), topics.ITEMS)
    hands.settle(hands.loop())
    item = decode_item(hands.store.stored(Signal.ITEMS)["item1"])
    assert (item.title, list(item.tags)) == ("Title 5", ["new"])
    assert hands.refused == []


def test_a_value_that_heals_waits_while_the_store_is_away(hands):
    fill(hands, 0, 60)
    hands.store.stored(Signal.USERS)["u:user1"] = b""
    hands.log.add(61)
    assignment = hands.keep()
    hands.now += 2.0
    assignment.poll()
    hands.store.away = True
    hands.settle(assignment)
    hands.store.away = False
    hands.settle(assignment)
    assert verify(hands.log, hands.store, [topics.EVENTS]).equal


def test_a_partition_that_cannot_be_applied_holds_up_no_deliveries(hands):
    assignment = hands.keep()
    worker = assignment.workers[0]
    hands.store.away = True
    for offset in range(MAX_UNAPPLICABLE + 100):
        assignment.offer(hands.log.add(offset))
    hands.settle(assignment)
    assert worker.waiting <= MAX_UNAPPLICABLE
    hands.store.away = False
    hands.settle(assignment)
    assert hands.applied() == MAX_UNAPPLICABLE + 99


def test_what_is_corrupt_is_said_with_the_place(hands):
    error = ValueCorrupt(3, "users", ["u:7"], "expected an array")
    assert str(error) == (
        "partition 3 of 'users': 'u:7' cannot be read (expected an array); the worker rebuilds it from the log"
    )


@pytest.mark.parametrize(("signal", "key"), [(Signal.USERS, "u:user3"), (Signal.AGGREGATES, "pop:item3")])
@pytest.mark.parametrize("embedded", [True, False])
def test_a_corrupt_value_that_no_event_needs_is_found_and_healed(hands, signal, key, embedded):
    fill(hands, 0, 60)
    worker = hands.loop() if embedded else hands.keep()
    watch = Watch(hands.log, hands.store)
    hands.settle(worker)
    right = hands.store.stored(signal)[key]
    hands.store.stored(signal)[key] = b"\xc1"
    for _ in range(10):
        if not embedded:
            watch.check(worker.workers)
        hands.settle(worker)
    assert hands.store.stored(signal)[key] == right
    assert_whole(hands, 60)


def test_a_fence_that_becomes_unreadable_while_a_worker_runs_is_found(hands):
    assignment, watch = hands.keep(), Watch(hands.log, hands.store)
    for offset in range(60):
        hands.log.add(offset)
    assignment.offer(hands.log.add(60))
    hands.settle(assignment)
    hands.store.unreadable.add((0, Signal.AGGREGATES))
    watch.check(assignment.workers)
    hands.settle(assignment)
    assert_whole(hands, 61)


def test_a_look_at_values_reads_few_bytes_and_goes_on_with_the_next_ones(hands, monkeypatch):
    fill(hands, 0, 60)
    assignment, data = hands.keep(), hands.store.stored(Signal.USERS)["u:user3"]
    hands.settle(assignment)
    read = count()
    monkeypatch.setattr(hands.store, "scan", lambda *_: (("u:user3", data) for _ in read))
    scrub = Scrub(hands.store)
    for _ in range(3):
        before = next(read)
        scrub.look(assignment.workers)
        assert 0 < next(read) - before <= BYTES / len(data) + 2
