"""Aggregates in memory are what signals.aggregates says, merged over partitions."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.log.fence import Fence
from schemas.ports import SignalChanges
from serving.ranking.defaults import default_config
from serving.state.aggregates import Aggregates
from serving.state.online_state import OnlineState
from signals import aggregates
from signals.covisits import NextCell
from signals.decay import summed

NOW = 1_795_428_000.0
relaxed = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
followers = st.dictionaries(st.integers(0, 59).map("item-{}".format), st.floats(0, 700), max_size=20)


def merge_cells(world, cells):
    for partition, cell in enumerate(cells):
        world.merge(partition, {"next:item-1": aggregates.encode(cell)})


@relaxed
@given(st.lists(followers, min_size=1, max_size=8))
def test_followers_of_all_partitions_are_summed(world, parts):
    cells = [NextCell(part) for part in parts]
    merge_cells(world, cells)
    for partition in range(len(parts), 8):
        world.merge(partition, {"next:item-1": aggregates.encode(NextCell())})
    found = world.aggregates.followers(world.catalogue.position("item-1"))
    ids = [world.catalogue.ids[at] for at in found.items.tolist()]
    expected = summed(cell.followers for cell in cells)
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
