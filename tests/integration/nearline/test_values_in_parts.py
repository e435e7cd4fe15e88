"""Values in two parts are verified, healed, rebuilt and captured like values that are stored whole."""

from __future__ import annotations

import pytest

from nearline.cluster.assignment import Assignment
from nearline.partition_worker import WorkerDependencies
from nearline.recovery.rebuild import rebuild
from nearline.recovery.verify import verify
from nearline.snapshots.capture import Capture
from nearline.snapshots.recording import RecordingStore
from schemas.keys import Signal
from schemas.log import topics
from schemas.values import tails
from signals import user_codec

EVENTS = 700
KEY = "u:user3"
TAIL = tails.tail_key(KEY)


def fill(hands, begin: int, end: int, *, in_parts: bool = True) -> None:
    for offset in range(begin, end):
        hands.log.add(offset)
    dependencies = WorkerDependencies(
        hands.log, hands.store, hands.refuse, hands.read_archive, hands.time, in_parts=in_parts
    )
    assignment = Assignment(dependencies)
    assignment.assign({(topics.EVENTS, 0)})
    for _ in range(4):
        hands.settle(assignment)


@pytest.fixture
def hot(hands):
    """Five users with long histories, whose values have tails."""
    fill(hands, 0, EVENTS)
    for offset in range(EVENTS, EVENTS + 20):
        fill(hands, offset, offset + 1)
    assert TAIL in hands.store.stored(Signal.USERS)
    return hands


def check(hands):
    report = verify(hands.log, hands.store, [topics.EVENTS])
    return next(each for each in report.checks if each.signal == Signal.USERS)


def test_values_in_parts_equal_the_fold_and_have_the_digest_of_whole_ones(hot, new_hands):
    other = new_hands()
    fill(other, 0, EVENTS + 20, in_parts=False)
    assert check(hot).equal
    assert check(hot).values == 5
    assert check(hot).digest == check(other).digest


@pytest.mark.parametrize("wrong", [None, b"", b"\xc1", b"cut"])
def test_a_damaged_or_lost_tail_is_named(hot, wrong):
    stored = hot.store.stored(Signal.USERS)
    if wrong is None:
        del stored[TAIL]
    else:
        stored[TAIL] = stored[TAIL][:-1] if wrong == b"cut" else wrong
    assert check(hot).differing == (KEY,)


@pytest.mark.parametrize("part", [KEY, TAIL])
def test_a_value_with_a_damaged_part_is_healed_whole_and_no_part_of_it_stays(hot, part):
    stored = hot.store.stored(Signal.USERS)
    stored[part] = stored[part][:-3]
    fill(hot, EVENTS + 20, EVENTS + 25)
    assert check(hot).equal
    assert user_codec.decode(stored[KEY]).offset >= EVENTS + 20
    assert tails.is_base(stored[KEY]) or TAIL not in stored
    assert hot.refused == []


def test_a_rebuild_mends_a_lost_tail(hot):
    del hot.store.stored(Signal.USERS)[TAIL]
    assert next(each.replaced for each in rebuild(hot.log, hot.store))
    fill(hot, EVENTS + 20, EVENTS + 21)
    assert check(hot).equal


def test_a_snapshot_has_whole_values_which_the_release_before_can_load(hot):
    recording = RecordingStore(hot.store)
    capture = Capture(recording, hot.store, 0, Signal.USERS, pause=lambda _: None)
    rows = dict(capture.rows(hot.log.id))
    assert rows == {key: user_codec.whole(data) for key, data in hot.store.scan(0, Signal.USERS)}
    assert not any(data.startswith((tails.BASE, tails.JOINED)) for data in rows.values())


def test_a_tail_that_is_committed_during_a_capture_is_in_the_snapshot(hot):
    recording = RecordingStore(hot.store)
    capture = Capture(recording, hot.store, 0, Signal.USERS, pause=lambda _: None)
    rows = capture.rows(hot.log.id)
    first = [next(rows)]
    store, hot.store = hot.store, recording
    fill(hot, EVENTS + 20, EVENTS + 25)
    hot.store = store
    assert dict([*first, *rows]) == {key: user_codec.whole(data) for key, data in store.scan(0, Signal.USERS)}
    assert capture.offset() == EVENTS + 24


def test_a_worker_that_writes_whole_values_joins_those_of_users_who_do_something(hot):
    fill(hot, EVENTS + 20, EVENTS + 25, in_parts=False)
    assert check(hot).equal
    assert set(hot.store.stored(Signal.USERS)) == {f"u:user{number}" for number in range(5)}
