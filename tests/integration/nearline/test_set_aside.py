"""Old values are set aside until the rebuild is whole, and come back if their log does."""

from __future__ import annotations

import pytest

from schemas.errors import StoreFull
from schemas.log import topics
from schemas.log.fence import Fence

PLACE = (topics.EVENTS, 0)


@pytest.fixture
def folded(hands, keeping):
    """Ten events of the first log are folded."""
    for offset in range(10):
        hands.log.add(offset)
    hands.settle(keeping())
    return hands


@pytest.fixture
def other_log(folded):
    """Puts another log, with that many events, in place of the first."""

    def other_log(events: int) -> dict:
        first = dict(folded.log.records)
        folded.log.id, folded.log.records = "cluster/two", {}
        for offset in range(events):
            folded.log.add(offset)
        return first

    return other_log


def test_values_of_a_log_that_is_away_for_a_while_come_back_with_it(folded, keeping, other_log):
    values = dict(folded.store.scan(0, "users"))
    first = other_log(events=0)
    folded.settle(keeping())
    assert folded.store.fence(0, "users") == Fence("cluster/two", -1)
    assert folded.store.aside(0, "users") == Fence("cluster/one", 9)

    folded.log.id, folded.log.records = "cluster/one", first
    folded.log.add(10)
    folded.settle(keeping())
    assert (folded.applied(), folded.clicks()) == (10, 11)
    assert dict(folded.store.scan(0, "users")).keys() == values.keys()
    assert folded.store.aside(0, "users") is None


def test_values_are_aside_while_a_rebuild_is_under_way_and_gone_when_it_is_whole(folded, keeping, other_log):
    other_log(events=2_500)
    assignment = keeping()
    while folded.store.fence(0, "users").log_id == "cluster/one" or folded.applied() < 999:
        folded.now += 2.0
        assignment.poll()
    assert folded.applied() < 2_499
    assert folded.store.aside(0, "users") == Fence("cluster/one", 9)
    folded.settle(assignment)
    assert (folded.applied(), folded.clicks()) == (2_499, 2_500)
    assert folded.store.aside(0, "users") is None
    assert folded.store.aside(0, "aggregates") is None


def test_a_worker_that_ends_during_a_rebuild_leaves_the_values_aside_to_the_next(folded, keeping, other_log):
    other_log(events=2_500)
    assignment = keeping()
    while folded.store.fence(0, "users").log_id == "cluster/one" or folded.applied() < 999:
        folded.now += 2.0
        assignment.poll()
    folded.settle(keeping())
    assert folded.clicks() == 2_500
    assert folded.store.aside(0, "users") is None


def test_values_aside_make_room_for_the_rebuild_where_the_store_is_full(folded, keeping, other_log, monkeypatch):
    commit = folded.store.commit

    def full_while_there_are_two(*args):
        if folded.store.aside(0, "users") is not None:
            raise StoreFull("no memory left")
        commit(*args)

    monkeypatch.setattr(folded.store, "commit", full_while_there_are_two)
    other_log(events=20)
    folded.settle(keeping())
    assert (folded.applied(), folded.clicks()) == (19, 20)
