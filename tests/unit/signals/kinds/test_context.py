"""Events by country, device and hour, compared with the plain list of events, and within their bounds."""

from __future__ import annotations

import math
from collections import defaultdict
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signals.decay import value_at
from signals.kinds import context
from signals.kinds.context import HALF_LIFE, hour_label

randoms = st.integers(0, 2**32).map(Random)
WEIGHTS = {"click": 1.0, "like": 4.0, "cart": 2.0}


@settings(max_examples=50)
@given(randoms, st.integers(1, 100))
def test_counts_are_the_decayed_sum_of_the_entries_that_were_not_taken_back(traffic, partition, random, count):
    state, direct = partition(*(each for each in traffic(random, count) if each.type != "forget")), defaultdict(float)
    entries = [entry for value in state.values.values() for entry in value.recent]
    now = max((entry.at for entry in entries), default=0.0)
    for entry in entries:
        for label in (*entry.context, hour_label(entry.at)):
            direct[entry.item, label] += WEIGHTS.get(entry.type, 0.0) * 2 ** ((entry.at - now) / HALF_LIFE)
    merged = {item: context.merge([cell], WEIGHTS) for item, cell in state.of("ctx").items()}
    found = {
        (item, label): value_at(counted, HALF_LIFE, now)
        for item, counts in merged.items()
        for label, counted in counts.items()
    }
    assert {pair: found.get(pair, 0.0) for pair in direct} == pytest.approx(direct, rel=1e-6, abs=1e-6)
    assert sum(found.values()) == pytest.approx(sum(direct.values()), rel=1e-6, abs=1e-6)


def test_the_hour_is_of_the_day():
    assert [hour_label(at) for at in (0.0, 3_599.0, 3_600.0, 86_399.0, 86_400.0)] == [
        *("hour:0", "hour:0", "hour:1", "hour:23", "hour:0")
    ]


def test_an_item_keeps_its_strongest_contexts(partition, say):
    state = partition(*(say("a", context={"country": f"c{n}"}, seconds=n) for n in range(300)))
    counts = state.of("ctx")["a"].counts
    assert len(counts) <= context.WIDTH + context.SLACK
    assert {"click|hour:0", "click|country:c299"} <= counts.keys()
    assert "click|country:c0" not in counts


def test_aversion_takes_away_and_partitions_add_up(partition, say):
    german = {"context": {"country": "DE"}}
    parts = [partition(say("a", **german)), partition(say("a", **german), say("a", "dislike", **german))]
    cells = [each.of("ctx")["a"] for each in parts]
    now = parts[0].values["u:ann"].recent[0].at
    less = context.merge(cells, {"click": 1.0, "dislike": -1.0})
    assert value_at(less["country:DE"], HALF_LIFE, now) == pytest.approx(1.0)
    assert context.merge(cells, {"click": 1.0, "dislike": -3.0})["country:DE"] == -math.inf
