"""The client's queue of events: whatever the site answers, each event is accepted, refused or still there."""

from __future__ import annotations

import json
from random import Random

import pytest
from freshet_client.backoff import backoff
from freshet_client.errors import Busy, NotAllowed, QueueFull, problem_of
from freshet_client.outbox import MAX_BATCH_BYTES, UNAVAILABLE, Outbox
from hypothesis import given
from hypothesis import strategies as st

ACCEPTED = {"status": "accepted", "error": None}
AGAIN = {"status": "rejected", "error": {"type": UNAVAILABLE}}
REFUSED = {"status": "rejected", "error": {"type": "urn:freshet:problem:missing", "detail": "item_id is missing"}}
OUTCOMES = st.sampled_from([ACCEPTED, AGAIN, REFUSED])
NOTHING_SAID = st.sampled_from(
    [(None, None), (503, {}), (500, None), (429, {"detail": "slow"}), (202, None), (207, {})]
)
STEPS = st.one_of(st.integers(1, 9), NOTHING_SAID, st.lists(OUTCOMES, min_size=5, max_size=5))


def event(number: int) -> dict:
    return {"event_id": f"e{number}", "type": "view", "user_id": "ann", "item_id": "x"}


def ids(body: bytes) -> list[str]:
    return [each["event_id"] for each in json.loads(body)] if body else []


@given(st.lists(STEPS, max_size=60))
def test_every_event_is_accepted_refused_or_waiting_and_in_order(steps):
    outbox, taken = Outbox(max_queued=40, max_batch=5), 0
    accepted, refused, waiting = set(), set(), []
    for step in steps:
        if isinstance(step, int):
            for _ in range(step):
                if len(waiting) >= 40:
                    with pytest.raises(QueueFull):
                        outbox.add(event(taken))
                else:
                    outbox.add(event(taken))
                    waiting.append(f"e{taken}")
                    taken += 1
            continue
        batch = ids(outbox.take())
        assert batch == waiting[:5]
        if isinstance(step, tuple):
            assert outbox.settle(*step) == []
            continue
        results = step[: len(batch)]
        said = outbox.settle(207, {"results": results})
        outcome_of = dict(zip(batch, results, strict=True))
        accepted |= {id_ for id_, outcome in outcome_of.items() if outcome is ACCEPTED}
        assert [each.event["event_id"] for each in said] == [i for i in batch if outcome_of[i] is REFUSED]
        refused |= {each.event["event_id"] for each in said}
        waiting = [id_ for id_ in waiting if outcome_of.get(id_, AGAIN) is AGAIN]
    assert outbox.counts() == (taken, len(accepted), len(refused), len(waiting))
    assert len(accepted) + len(refused) + len(waiting) == taken


@given(st.lists(st.integers(1, 400_000), min_size=1, max_size=12))
def test_no_batch_is_larger_than_the_site_takes(sizes):
    outbox = Outbox(max_queued=100, max_batch=100)
    for number, size in enumerate(sizes):
        outbox.add({**event(number), "properties": {"text": "x" * size}})
    sent = []
    while body := outbox.take():
        assert len(body) <= MAX_BATCH_BYTES
        sent += ids(body)
        outbox.settle(202, {"results": [ACCEPTED] * len(ids(body))})
    assert sent == [f"e{number}" for number in range(len(sizes))]


def test_an_event_that_no_batch_can_hold_is_refused_at_once():
    with pytest.raises(ValueError, match="at most"):
        Outbox(10, 10).add({**event(1), "properties": {"text": "x" * MAX_BATCH_BYTES}})


def test_an_event_that_is_no_json_is_refused_at_once():
    outbox = Outbox(10, 10)
    with pytest.raises(ValueError):
        outbox.add({**event(1), "value": float("nan")})
    assert outbox.counts().taken == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415])
def test_a_batch_that_is_refused_as_a_whole_is_not_sent_again(status):
    outbox = Outbox(10, 10)
    outbox.add(event(1))
    outbox.take()
    (refused,) = outbox.settle(status, {"detail": "no"})
    assert refused == (event(1), {"detail": "no"})
    assert outbox.take() == b""


@given(st.integers(0, 2_000), st.integers(0, 1_000), st.none() | st.floats(0, 60))
def test_the_wait_grows_to_a_bound_and_keeps_what_the_site_asks(attempt, seed, retry_after):
    seconds = backoff(attempt, Random(seed), retry_after)
    asked = retry_after or 0.0
    assert asked + 0.05 <= seconds <= asked + 10.0
    assert seconds <= asked + 0.1 * 2 ** min(attempt, 10)


def test_a_problem_says_field_and_detail_and_when_to_come_again():
    busy = problem_of(503, {"type": "urn:freshet:problem:unavailable", "detail": "the log is away"}, "7")
    assert isinstance(busy, Busy)
    assert (busy.code, busy.retry_after, str(busy)) == ("unavailable", 7.0, "503: the log is away")
    missing = problem_of(400, {"detail": "is missing", "field": "item_id", "index": 3})
    assert (missing.field, missing.index, str(missing)) == ("item_id", 3, "400: is missing (item_id)")
    assert isinstance(problem_of(403, None), NotAllowed)
