"""An assignment opens its partitions, says where deliveries begin, and drops the records of other partitions."""

from __future__ import annotations

from schemas.log import topics


def test_a_worker_wants_deliveries_from_where_the_log_ended_when_it_came(hands):
    for offset in range(9):
        hands.log.add(offset)
    assert hands.assignment().assign({(topics.EVENTS, 0)}) == {(topics.EVENTS, 0): 9}


def test_a_worker_that_starts_while_store_or_log_are_away_catches_up_later(hands):
    for offset in range(5):
        hands.log.add(offset)
    hands.store.away = hands.log.silent = True
    assignment = hands.assignment()
    assert assignment.assign({(topics.EVENTS, 0)}) == {}
    assignment.offer(hands.log.add(5))
    hands.settle(assignment)
    hands.store.away = hands.log.silent = False
    hands.settle(assignment)
    assert (hands.applied(), hands.clicks()) == (5, 6)


def test_records_of_a_partition_that_went_elsewhere_are_let_go(hands, keeping):
    assignment = keeping()
    assignment.release({(topics.EVENTS, 0)})
    assignment.offer(hands.log.add(0))
    hands.settle(assignment)
    assert hands.applied() == -1
    assert assignment.position(topics.EVENTS, 0) is None


def test_the_log_of_a_partition_that_opened_late_is_known_after_its_release(hands):
    hands.log.silent = True
    assignment = hands.assignment()
    assignment.assign({(topics.EVENTS, 0)})
    assert assignment.log_ids == {}
    hands.log.silent = False
    hands.settle(assignment)
    assignment.release({(topics.EVENTS, 0)})
    assert assignment.log_ids == {topics.EVENTS: hands.log.id}
