"""A partition worker applies each record once, in order, whatever is delivered, in whatever order."""

from __future__ import annotations

import random

import pytest

from nearline.recovery.verify import verify
from nearline.watch import Watch
from schemas.errors import LogReplaced
from schemas.log import topics
from schemas.log.fence import Fence


def test_what_stands_on_the_log_before_the_worker_came_is_read_without_a_delivery(hands, keeping):
    for offset in range(50):
        hands.log.add(offset)
    hands.settle(keeping())
    assert (hands.applied(), hands.clicks()) == (49, 50)


def test_repeated_late_and_missing_deliveries_change_nothing(hands, keeping):
    assignment, chance = keeping(), random.Random(5)
    for start in range(0, 200, 20):
        delivered = [hands.log.add(offset) for offset in range(start, start + 20)]
        for record in chance.choices(delivered, k=15):
            assignment.offer(record)
        assignment.offer(delivered[-1])
        hands.settle(assignment)
    assert (hands.applied(), hands.clicks()) == (199, 200)
    assert verify(hands.log, hands.store, [topics.EVENTS]).equal


def test_offsets_without_records_are_passed_over(hands, keeping):
    assignment = keeping()
    for offset in (0, 1, 5, 6, 20):
        assignment.offer(hands.log.add(offset))
    hands.settle(assignment)
    assert (hands.applied(), hands.clicks()) == (20, 5)


def test_two_workers_that_both_think_the_partition_theirs_apply_each_record_once(hands, keeping):
    one, other = keeping(), keeping()
    for offset in range(100):
        record = hands.log.add(offset)
        one.offer(record)
        other.offer(record)
        hands.now += 0.5
        (one if offset % 3 else other).poll()
    hands.settle(one)
    hands.settle(other)
    assert (hands.applied(), hands.clicks()) == (99, 100)
    assert verify(hands.log, hands.store, [topics.EVENTS]).equal


def test_a_store_that_is_away_loses_nothing(hands, keeping):
    assignment = keeping()
    assignment.offer(hands.log.add(0))
    hands.settle(assignment)
    hands.store.away = True
    for offset in range(1, 30):
        assignment.offer(hands.log.add(offset))
        assignment.poll()
    hands.store.away = False
    hands.settle(assignment)
    assert (hands.applied(), hands.clicks()) == (29, 30)


@pytest.mark.parametrize("noticed_by", ["the next event", "the watch"])
def test_a_store_that_went_back_in_time_is_brought_forward_again_exactly(hands, keeping, noticed_by):
    assignment = keeping()
    for offset in range(10):
        assignment.offer(hands.log.add(offset))
    hands.settle(assignment)
    older = hands.store.copy()
    for offset in range(10, 20):
        assignment.offer(hands.log.add(offset))
    hands.settle(assignment)
    hands.store.put_back(older)
    assert (hands.applied(), hands.clicks()) == (9, 10)
    if noticed_by == "the watch":
        Watch(hands.log, hands.store).check(assignment.workers)
    else:
        assignment.offer(hands.log.add(20))
    hands.settle(assignment)
    count = 20 if noticed_by == "the watch" else 21
    assert (hands.applied(), hands.clicks()) == (count - 1, count)


def test_another_log_is_never_followed_with_what_is_in_memory(hands, keeping):
    assignment = keeping()
    assignment.offer(hands.log.add(0))
    hands.settle(assignment)
    hands.log.id = "cluster/two"
    with pytest.raises(LogReplaced, match="cluster/two"):
        Watch(hands.log, hands.store).check(assignment.workers)
    assignment.workers[0].invalidate()
    with pytest.raises(LogReplaced):
        assignment.poll()


def test_beside_the_values_of_another_log_a_new_worker_begins_anew(hands, keeping):
    for offset in range(10):
        hands.log.add(offset)
    hands.settle(keeping())
    hands.log.id, hands.log.records = "cluster/two", {}
    for offset in range(20):
        hands.log.add(offset)
    hands.settle(keeping())
    assert hands.store.fence(0, "users") == Fence("cluster/two", 19)
    assert hands.clicks() == 20


def test_a_log_that_has_lost_its_newest_records_is_folded_anew(hands, keeping):
    for offset in range(10):
        hands.log.add(offset)
    hands.settle(keeping())
    del hands.log.records[topics.EVENTS, 0][6:]
    hands.settle(keeping())
    assert (hands.applied(), hands.clicks()) == (5, 6)


def test_records_older_than_retention_come_from_the_archive(hands, keeping):
    archived = [hands.log.add(offset) for offset in range(30)]
    hands.log.begin[topics.EVENTS, 0] = 12
    hands.archive = lambda _topic, _partition, begin, end: iter(archived[begin:end])
    hands.settle(keeping())
    assert (hands.applied(), hands.clicks()) == (29, 30)


def test_without_an_archive_the_rest_is_applied_all_the_same(hands, keeping):
    for offset in range(30):
        hands.log.add(offset)
    hands.log.begin[topics.EVENTS, 0] = 12
    hands.settle(keeping())
    assert (hands.applied(), hands.clicks()) == (29, 18)


@pytest.mark.parametrize("jump", [-600.0, 600.0])
def test_a_clock_that_jumps_by_ten_minutes_holds_up_nothing(hands, keeping, jump):
    assignment = keeping()
    assignment.offer(hands.log.add(0))
    hands.settle(assignment)
    hands.store.away = True
    assignment.offer(hands.log.add(1))
    hands.settle(assignment)
    hands.now += jump
    hands.store.away = False
    for offset in range(2, 5):
        assignment.offer(hands.log.add(offset))
    hands.settle(assignment)
    assert (hands.applied(), hands.applied("aggregates"), hands.clicks()) == (4, 4, 5)
