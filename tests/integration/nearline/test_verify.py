"""Verification names what is wrong, and is not misled by traffic."""

from __future__ import annotations

import pytest

from nearline.recovery.verify import verify
from schemas.log import topics
from schemas.log.fence import Fence


@pytest.fixture
def folded(hands, keeping):
    """Forty clicks, applied."""
    for offset in range(40):
        hands.log.add(offset)
    hands.settle(keeping())
    return hands


def check(hands, signal):
    report = verify(hands.log, hands.store, [topics.EVENTS])
    return report.equal, next(each for each in report.checks if each.signal == signal)


def test_a_sound_store_is_equal_and_counted(folded):
    report = verify(folded.log, folded.store, [topics.EVENTS])
    assert report.equal
    # Five people, seven items with their followers, contexts and people, one chunk of the tail.
    assert report.values == 5 + 7 + 7 + 7 + 7 + 1


@pytest.mark.parametrize(("signal", "key"), [("users", "u:user3"), ("aggregates", "pop:item2")])
@pytest.mark.parametrize("value", [b"tampered", None])
def test_a_changed_or_lost_value_is_named(folded, signal, key, value):
    fence = folded.store.fence(0, signal)
    folded.store.commit(0, signal, fence, fence, {key: value})
    equal, found = check(folded, signal)
    assert not equal
    assert found.differing == (key,)


def test_a_value_that_no_event_made_is_named(folded):
    fence = folded.store.fence(0, "users")
    folded.store.commit(0, "users", fence, fence, {"u:nobody": b"x"})
    assert check(folded, "users")[1].differing == ("u:nobody",)


def test_a_fence_that_claims_more_than_its_values_hold_is_found(folded):
    folded.log.add(40)
    fence = folded.store.fence(0, "users")
    folded.store.commit(0, "users", fence, Fence(fence.log_id, 40), {})
    assert check(folded, "users")[1].differing == ("u:user0",)


def test_commits_while_the_values_are_read_are_no_difference(folded, keeping):
    assignment, scan = keeping(), folded.store.scan

    def scan_under_traffic(partition, signal):
        values = list(scan(partition, signal))
        yield from values[:2]
        _, end = folded.log.bounds(topics.EVENTS, 0)
        for offset in range(end, end + 9):
            assignment.offer(folded.log.add(offset))
            folded.settle(assignment)
        yield from [pair for pair in scan(partition, signal) if pair[0] not in dict(values[:2])]

    folded.store.scan = scan_under_traffic
    report = verify(folded.log, folded.store, [topics.EVENTS])
    assert report.equal, report


def test_values_of_another_log_are_a_problem(folded):
    folded.log.id = "cluster/two"
    equal, found = check(folded, "users")
    assert not equal
    assert "another log" in found.problem


def test_a_log_whose_beginning_has_expired_cannot_be_verified_and_says_so(folded):
    folded.log.begin[topics.EVENTS, 0] = 3
    equal, found = check(folded, "users")
    assert not equal
    assert "begins at offset 3" in found.problem


def test_a_fence_that_cannot_be_read_is_a_problem_of_its_signal_alone(hands, keeping):
    for offset in range(20):
        hands.log.add(offset)
    hands.settle(keeping())
    hands.store.unreadable.add((0, "aggregates"))
    users, counters = verify(hands.log, hands.store, [topics.EVENTS]).checks
    assert users.equal
    assert (counters.equal, "cannot be read" in counters.problem) == (False, True)
