"""Poison of another producer goes to the dead letters, and both loops go on with everything else."""

from __future__ import annotations

import json

import pytest

from nearline import partition_worker
from nearline.recovery.verify import verify
from schemas.log import topics

HUGE = int("9" * 400)
EVENT = {
    "event_id": "e",
    "type": "click",
    "user_id": "user1",
    "item_id": "item1",
    "recommendation_id": "r1",
    "occurred_at": "2026-01-01T00:00:00Z",
    "received_at": "2026-01-01T00:00:00Z",
}
UPSERT = {"id": "item1", "op": "put", "received_at": "2026-01-01T00:00:00Z"}


@pytest.fixture(params=["faust", "embedded"])
def apply(request, hands, keeping):
    """Applies all that the log holds, by the worker of either loop."""

    def apply():
        loop = keeping() if request.param == "faust" else hands.loop()
        hands.settle(loop)
        return loop

    return apply


@pytest.mark.parametrize(
    "poison",
    [
        {"position": HUGE},
        {"position": -HUGE},
        {"properties": {"scroll": HUGE}},
        {"properties": {"nested": [{"order": 2**64}]}},
        {"context": {"country": HUGE}},
        {"value": HUGE},
        {"schema_version": "one"},
        {"properties": {"basket_id": None}, "position": 0.5},
    ],
    ids=lambda poison: str(poison)[:40],
)
def test_an_event_that_no_fold_can_apply_is_a_dead_letter_and_its_neighbours_count(hands, apply, poison):
    for offset in range(10):
        hands.log.add(offset)
    hands.log.put(10, json.dumps(EVENT | poison).encode())
    for offset in range(11, 20):
        hands.log.add(offset)
    apply()
    assert [offset for offset, _ in hands.refused] == [10]
    assert (hands.applied(), hands.applied("aggregates"), hands.clicks()) == (19, 19, 19)
    assert verify(hands.log, hands.store, [topics.EVENTS]).equal


@pytest.mark.parametrize(
    "fields", [{"price": HUGE}, {"attributes": {"ean": HUGE}}, {"price": "dear"}], ids=lambda fields: str(fields)[:30]
)
def test_an_item_that_no_fold_can_apply_is_a_dead_letter_and_the_next_is_applied(hands, keeping, fields):
    hands.log.put(0, json.dumps(UPSERT | {"fields": fields}).encode(), topics.ITEMS)
    hands.log.put(1, json.dumps(UPSERT | {"fields": {"title": "Wine"}}).encode(), topics.ITEMS)
    hands.settle(hands.loop())
    assert [offset for offset, _ in hands.refused] == [0]
    assert hands.applied("items") == 1


@pytest.mark.parametrize("wide", [{"position": 2**62}, {"properties": {"scroll": 2**63}}, {"value": 2**70}])
def test_numbers_that_fit_are_applied(hands, apply, wide):
    hands.log.put(0, json.dumps(EVENT | wide).encode())
    apply()
    assert (hands.refused, hands.applied(), hands.clicks()) == ([], 0, 1)


def test_a_fold_that_raises_for_a_reason_nobody_foresaw_costs_one_record(hands, apply, monkeypatch):
    from signals import users

    fold = users.fold

    def raise_at_item3(value, event, offset):
        return 1 // 0 if event.item_id == "item3" else fold(value, event, offset)

    monkeypatch.setattr(users, "fold", raise_at_item3)
    for offset in range(30):
        hands.log.add(offset)
    apply()
    poison = [offset for offset in range(30) if offset % 7 == 3]
    reason = "ZeroDivisionError: integer division or modulo by zero"
    assert hands.refused == [(offset, reason) for offset in poison]
    assert (hands.applied(), hands.clicks()) == (29, 30 - len(poison))
    assert verify(hands.log, hands.store, [topics.EVENTS]).equal


def test_a_null_value_is_passed_over(hands, apply):
    hands.log.add(0)
    hands.log.put(1, None)
    hands.log.add(2)
    hands.log.put(0, None, topics.ITEMS)
    hands.log.put(0, None, topics.USERS)
    apply()
    assert (hands.refused, hands.applied(), hands.clicks()) == ([], 2, 2)
    assert verify(hands.log, hands.store).equal


def test_an_empty_value_is_no_event(hands, apply):
    hands.log.put(0, b"")
    apply()
    assert [offset for offset, _ in hands.refused] == [0]


def test_poison_among_delivered_records_loses_none_of_them(hands, keeping):
    assignment = keeping()
    for offset in range(10):
        assignment.offer(hands.log.add(offset))
    assignment.offer(hands.log.put(10, json.dumps(EVENT | {"position": HUGE}).encode()))
    for offset in range(11, 20):
        assignment.offer(hands.log.add(offset))
    hands.settle(assignment)
    assert [offset for offset, _ in hands.refused] == [10]
    assert (hands.applied(), hands.clicks()) == (19, 19)


def test_the_failure_of_one_partition_neither_ends_the_process_nor_stops_another(hands, monkeypatch):
    made = partition_worker.processor_for

    def broken_for_items(topic, *rest, **options):
        if topic == topics.ITEMS:
            raise MemoryError("too much")
        return made(topic, *rest, **options)

    monkeypatch.setattr(partition_worker, "processor_for", broken_for_items)
    hands.log.add(0)
    hands.log.put(0, json.dumps(UPSERT).encode(), topics.ITEMS)
    loop = hands.loop()
    hands.settle(loop)
    assert (hands.applied(), hands.clicks()) == (0, 1)
    assert not loop.caught_up()
    monkeypatch.setattr(partition_worker, "processor_for", made)
    hands.settle(loop)
    assert loop.caught_up()


def test_a_loop_whose_log_fails_in_an_unforeseen_way_tries_again(hands, monkeypatch):
    hands.log.add(0)
    loop = hands.loop()
    monkeypatch.setattr(hands.log, "ends", lambda: 1 // 0)
    assert loop.poll() is False
    monkeypatch.undo()
    hands.settle(loop)
    assert loop.caught_up()
