"""Answers that wait to be recorded are bounded in number and in bytes; what they take is what was counted."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import Future
from datetime import UTC, datetime

import msgspec
import pytest

from schemas.answers import DecidedItem, Decision, Reason, RecommendationRequest
from serving.service.decision_log import DecisionLog, _size_of


class Log:
    """Takes every record at once."""

    def __init__(self) -> None:
        self.entries = []

    def append(self, topic, entries):
        self.entries += entries
        return Future()


def a_decision(number: int = 1, items: int = 20, inputs: int = 0, **request) -> Decision:
    reasons = [("trending", 0.5), ("popular", 0.25), ("session_knn", 0.25)]
    return Decision(
        recommendation_id=f"r{number}",
        route="recommendations",
        generated_at=datetime.fromtimestamp(number, UTC),
        request=RecommendationRequest(now=float(number), user_id=f"user-{number}", **request),
        items=[
            DecidedItem(f"item-{number}-{n}", n * 0.5, [Reason(source, share, f"i{n}") for source, share in reasons])
            for n in range(items)
        ],
        aggregates_version="1.2.3",
        catalogue_version="1",
        config_id="c",
        variant="default",
        inputs={"users:1": bytes(inputs)} if inputs else {},
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"items": 1},
        {"items": 20},
        {"items": 300},
        {"items": 500, "inputs": 30_000},
        {"items": 20, "exclude": tuple(f"excluded-{n}" for n in range(500))},
    ],
    ids=str,
)
def test_the_size_of_a_record_is_rather_too_large_than_too_small(fields):
    encoded = [msgspec.json.encode(a_decision(number, **fields)) for number in range(50)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = [msgspec.json.decode(text, type=Decision) for text in encoded]
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert 1 <= sum(map(_size_of, kept)) / taken < 8


async def test_records_that_wait_are_bounded_in_bytes():
    queue = DecisionLog(Log(), 2_000, limit_bytes=1_000_000)
    for number in range(500):
        queue.record(a_decision(number, items=500))
    assert 0 < len(queue._waiting) < 10
    assert queue.size <= 1_000_000


async def test_what_was_handed_over_makes_room_again():
    log = Log()
    queue = DecisionLog(log, 2_000, limit_bytes=150_000)
    for number in range(50):
        queue.record(a_decision(number))
        if number % 5 == 4:
            await queue.flush()
            assert queue.size == 0
    assert len(log.entries) == 50


async def test_records_that_wait_are_bounded_in_number():
    queue = DecisionLog(Log(), 3)
    for number in range(9):
        queue.record(a_decision(number))
    assert len(queue._waiting) == 3
