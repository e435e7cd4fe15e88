"""Items of one basket count as companions, in both directions, once in a basket, until one of them is retracted."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signals.decay import summed, value_at
from signals.kinds import baskets
from signals.kinds.baskets import HALF_LIFE
from signals.users import NEGATIVE

randoms = st.integers(0, 2**32).map(Random)


def pairs(state, now):
    return {
        (item, other): value_at(count, HALF_LIFE, now)
        for item, cell in state.of("with").items()
        for other, count in cell.companions.items()
    }


@settings(max_examples=50)
@given(randoms, st.integers(1, 60))
def test_companions_are_the_decayed_pairs_of_each_persons_groups(traffic, partition, random, count):
    kinds = {"click", "view", "like", "cart", "purchase", "dislike", "rating"}
    events = [each for each in traffic(random, count, people=3) if each.type in kinds]
    if len({(each.subject, each.event_id) for each in events}) < len(events):
        return
    state, direct = partition(*events), defaultdict(float)
    entries = [entry for value in state.values.values() for entry in value.recent]
    now = max((entry.at for entry in entries), default=0.0)
    for value in state.values.values():
        firsts: dict[bytes, dict[str, float]] = defaultdict(dict)
        for entry in value.recent:
            if entry.group and entry.type not in NEGATIVE:
                firsts[entry.group].setdefault(entry.item, entry.at)
        for group in firsts.values():
            for (one, _), (other, at) in combinations(group.items(), 2):
                direct[one, other] += 2 ** ((at - now) / HALF_LIFE)
                direct[other, one] += 2 ** ((at - now) / HALF_LIFE)
    assert pairs(state, now) == pytest.approx(direct, rel=1e-6)


def test_a_basket_is_what_was_put_in_within_a_session_or_under_one_name(partition, say):
    state = partition(
        say("a", "cart"),
        say("seen", "view", seconds=1),
        say("b", "purchase", seconds=2),
        say("c", "cart", seconds=9_000),
        say("p", "click", properties={"playlist_id": "x"}),
        say("q", "like", properties={"playlist_id": "x"}, seconds=90_000),
        say("r", "like", properties={"basket_id": "x"}),
    )
    assert {item: set(cell.companions) for item, cell in state.of("with").items()} == {
        "a": {"b"},
        "b": {"a"},
        "p": {"q"},
        "q": {"p"},
    }


def test_a_pair_counts_once_a_basket(partition, say):
    state = partition(*(say(item, kind) for kind in ("cart", "purchase") for item in "ab"))
    assert pairs(state, state.values["u:ann"].recent[0].at) == pytest.approx({("a", "b"): 1.0, ("b", "a"): 1.0})


@pytest.mark.parametrize("gone", ["a", "b", "c"])
def test_what_is_taken_back_leaves_its_basket(partition, say, gone):
    state = partition(*(say(item, "purchase", seconds=60 * n) for n, item in enumerate("abc")))
    state.happen(
        say(None, "retract", event_id=next(f"{i}-purchase-{60 * n}" for n, i in enumerate("abc") if i == gone))
    )
    left = {item for item, cell in state.of("with").items() if cell.companions}
    assert left == set("abc") - {gone}


def test_an_item_that_is_there_twice_stays_where_one_is_taken_back(partition, say):
    state = partition(say("a", "cart"), say("b", "cart"), say("a", "purchase"))
    state.happen(say(None, "retract", event_id="a-purchase-0.0"))
    assert set(state.of("with")["a"].companions) == {"b"}


def test_an_item_keeps_its_strongest_companions(partition, say):
    state = partition()
    for n in range(300):
        state.happen(say("a", "cart", user_id=f"u{n}", seconds=n))
        state.happen(say(f"i{n}", "cart", user_id=f"u{n}", seconds=n))
    companions = state.of("with")["a"].companions
    assert len(companions) <= baskets.WIDTH + baskets.SLACK
    assert "i299" in companions
    assert "i0" not in companions


def test_companions_of_partitions_add_up(partition, say):
    parts = [partition(say("a", "cart"), say("b", "cart")) for _ in range(3)]
    merged = summed(each.of("with")["a"].companions for each in parts)
    assert value_at(merged["b"], HALF_LIFE, parts[0].values["u:ann"].recent[0].at) == pytest.approx(3.0)
