"""Aggregates in memory are what signals.aggregates says, merged over partitions."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.log.fence import Fence
from schemas.ports import SignalChanges
from serving.ranking.defaults import default_config
from serving.state.aggregates import Aggregates
from serving.state.online_state import OnlineState
from signals import aggregates
from signals.counters import AggregateKind
from signals.kinds import covisits
from signals.kinds.covisits import CovisitCounters

NOW = 1_795_428_000.0
relaxed = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
followers = st.dictionaries(st.integers(0, 59).map("item-{}".format), st.floats(0, 700), max_size=20)


def merge_followers(world, cells):
    for partition, cell in enumerate(cells):
        world.merge(partition, {"next:item-1": aggregates.encode(cell)})


@relaxed
@given(st.lists(followers, min_size=1, max_size=8))
def test_followers_of_all_partitions_are_summed(world, parts):
    cells = [CovisitCounters(part) for part in parts]
    merge_followers(world, cells)
    for partition in range(len(parts), 8):
        world.merge(partition, {"next:item-1": aggregates.encode(CovisitCounters())})
    found = world.aggregates.followers(world.catalogue.position("item-1"))
    ids = [world.catalogue.ids[at] for at in found.items.tolist()]
    expected = covisits.merge(cells, {})
    assert world.aggregates.read("next", "item-1") == expected
    assert dict(zip(ids, found.visits.tolist(), strict=True)) == pytest.approx(expected)


def test_counts_of_all_partitions_order_what_is_popular(world, say):
    world.happen(*(say("like", 4, user_id=f"u{n}") for n in range(3)), partition=0)
    world.happen(*(say("like", 9, user_id=f"u{n}") for n in range(2)), partition=0)
    world.happen(*(say("like", 9, user_id=f"v{n}") for n in range(2)), partition=5)
    popular = [world.catalogue.ids[at] for at in world.aggregates.popular.tolist()]
    # A partition's second batch replaced its cells of item 9 only.
    assert popular == ["item-9", "item-4"]


def test_what_is_recent_trends_above_what_was(world, say):
    old = [say("view", 3, NOW - 40 * 86_400, user_id=f"u{n}", event_id=f"o{n}") for n in range(20)]
    new = [say("view", 8, NOW - 60, user_id=f"u{n}", event_id=f"n{n}") for n in range(5)]
    world.happen(*old, *new)
    assert world.catalogue.ids[world.aggregates.trending[0]] == "item-8"
    assert world.catalogue.ids[world.aggregates.popular[0]] == "item-3"


def test_a_partition_that_began_anew_takes_its_old_counts_back(world, say):
    world.happen(*(say("like", 4, user_id=f"u{n}") for n in range(3)))
    world.merge(0, {}, whole=True)
    assert world.aggregates.empty


visits = st.lists(st.tuples(st.sampled_from(["view", "like"]), st.integers(0, 59)), min_size=1, max_size=30)


@relaxed
@given(st.lists(visits, min_size=1, max_size=4))
def test_top_lists_that_are_made_a_step_at_a_time_are_those_that_are_made_at_once(world, say, batches):
    weights = default_config().population_weights
    at_once = replace(world, aggregates=Aggregates(world.catalogue, 8, weights))
    stepwise = OnlineState(world.catalogue, Aggregates(world.catalogue, 8, weights))
    for partition, batch in enumerate(batches):
        events = [say(kind, item, NOW - partition, user_id=f"u{n}") for n, (kind, item) in enumerate(batch)]
        cells = at_once.happen(*events, partition=partition)
        before = stepwise.aggregates.popular
        for _ in stepwise.apply_aggregates([(partition, SignalChanges(Fence("log", 1), cells, whole=False))]):
            # Whoever asks in between gets the lists of one version.
            assert stepwise.aggregates.popular is before
    found, expected = stepwise.aggregates.orders(), at_once.aggregates.orders()
    assert found.popular.tolist() == expected.popular.tolist()
    assert found.trending.tolist() == expected.trending.tolist()
    assert [each.tolist() for each in found.rising] == [each.tolist() for each in expected.rising]


class Minutes(msgspec.Struct, array_like=True, frozen=True):
    """Minutes that users spent on one item, by type of event."""

    by_type: dict[str, float] = {}


def minutes_spent(transitions, changes):
    for transition in transitions:
        if transition.entry is not None and transition.entry.value is not None:
            changes[transition.entry.item].append((transition.entry.type, transition.entry.value / 60.0))


def add_minutes(counters, changed):
    sums = dict(counters.by_type)
    for kind, minutes in changed:
        sums[kind] = sums.get(kind, 0.0) + minutes
    return Minutes(sums)


def weighted_minutes(counters, weights):
    return sum(weights.get(kind, 0.0) * minutes for each in counters for kind, minutes in each.by_type.items())


@pytest.fixture
def toy_kind(monkeypatch):
    kind = AggregateKind("minutes", Minutes(), minutes_spent, add_minutes, weighted_minutes)
    monkeypatch.setitem(aggregates.KINDS, "minutes", kind)
    return kind


@pytest.mark.usefixtures("toy_kind")
def test_a_new_kind_of_aggregate_is_folded_stored_and_merged_by_its_declaration_alone(world, say):
    stored = world.happen(say("dwell", 4, value=120.0), say("dwell", 4, value=60.0, event_id="again"), partition=0)
    world.happen(say("dwell", 4, value=30.0, user_id="bob"), partition=5)
    assert aggregates.decode("minutes:item-4", stored["minutes:item-4"]) == Minutes({"dwell": 3.0})
    weight = default_config().population_weights["dwell"]
    assert world.aggregates.read("minutes", "item-4") == pytest.approx(3.5 * weight)
    assert world.aggregates.read("minutes", "item-5") == 0.0


@pytest.mark.usefixtures("toy_kind")
def test_a_partition_that_began_anew_takes_back_what_it_counted_of_a_new_kind(world, say):
    world.happen(say("dwell", 4, value=120.0))
    world.merge(0, {}, whole=True)
    assert world.aggregates.read("minutes", "item-4") == 0.0


def test_counters_of_a_kind_that_no_module_declares_are_left_alone(world):
    world.merge(0, {"minutes:item-4": b"?"})
    with pytest.raises(KeyError):
        world.aggregates.read("minutes", "item-4")
