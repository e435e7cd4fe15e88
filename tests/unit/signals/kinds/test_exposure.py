"""Impressions and responses by position, compared with the plain list of events."""

from __future__ import annotations

import math
from collections import defaultdict
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signals import users
from signals.decay import value_at
from signals.kinds.exposure import BEGINS, HALF_LIFE, LONGEST, by_bucket, merge

randoms = st.integers(0, 2**32).map(Random)


def values(state, now):
    return {
        (item, name): value_at(count, HALF_LIFE, now)
        for item, cell in state.of("exp").items()
        for name, count in cell.counts.items()
    }


@settings(max_examples=50)
@given(randoms, st.integers(1, 120))
def test_counts_are_the_decayed_sum_of_impressions_and_responses(traffic, partition, random, count):
    events = [each for each in traffic(random, count) if each.type not in {"forget", "retract", "unlike"}]
    state, direct, met = partition(*events), defaultdict(float), set()
    now = max((e.occurred_at.timestamp() for e in events), default=0.0)
    for each in events:
        weight = 2 ** ((each.occurred_at.timestamp() - now) / HALF_LIFE)
        position = each.position or 0
        if (each.subject, each.event_id) in met:
            continue
        met.add((each.subject, each.event_id))
        if each.type == "impression":
            for at, item in enumerate(each.impression or [each.item_id], start=position):
                direct[item, f"impression:{_bucket(at)}"] += weight
        elif users.is_interaction(each) and each.type not in users.NEGATIVE and each.recommendation_id:
            direct[each.item_id, f"{each.type}:{_bucket(position)}"] += weight * (each.position is not None)
    assert values(state, now) == pytest.approx({pair: w for pair, w in direct.items() if w}, rel=1e-8)


def _bucket(position):
    return max(n for n, begin in enumerate(BEGINS) if begin <= position)


def test_a_retracted_response_counts_no_longer(partition, say):
    shown = say(None, "impression", impression=["a", "b"])
    like = say("b", "like", recommendation_id="r", position=1)
    state = partition(shown, like)
    assert list(state.of("exp")["b"].counts) == ["impression:1", "like:1"]
    state.happen(say("b", "unlike", seconds=9))
    assert list(state.of("exp")["b"].counts) == ["impression:1"]


def test_an_impression_counts_so_many_items_and_no_more(partition, say):
    state = partition(say(None, "impression", impression=[f"i{n}" for n in range(3 * LONGEST)], position=4))
    assert list(state.of("exp")) == [f"i{n}" for n in range(LONGEST)]
    assert list(state.of("exp")["i0"].counts) == ["impression:4"]
    assert list(state.of("exp")["i99"].counts) == [f"impression:{len(BEGINS) - 1}"]


def test_an_item_has_so_many_counts_and_no_more(partition, say):
    state = partition(
        *(say("a", f"kind{n}", recommendation_id="r", position=n % 30) for n in range(30 * users.TYPES)),
    )
    assert len(state.of("exp")["a"].counts) == users.TYPES * len(BEGINS)


def test_counts_are_read_by_bucket_with_weights(partition, say):
    state = [
        partition(say("a", "impression", position=2), say("a", "click", recommendation_id="r", position=2)),
        partition(say("a", "click", seconds=HALF_LIFE, recommendation_id="r", position=12)),
    ]
    counts = merge([each.of("exp")["a"] for each in state], {})
    now = state[1].values["u:ann"].recent[0].at
    clicks = by_bucket(counts, {"click": 2.0}, now)
    assert clicks == pytest.approx([0, 0, 1, 0, 0, 0, 2, 0])
    assert math.fsum(by_bucket(counts, {"impression": 1.0}, now)) == pytest.approx(0.5)
