"""Ids that only events name are let go once they take too much memory, and nothing mistakes their positions for others'."""

from __future__ import annotations

import gc
import tracemalloc
from itertools import count
from random import Random

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from serving.state.admission import eviction
from serving.state.admission.eviction import ItemEviction
from serving.state.admission.item_memory import POSITION_BYTES
from serving.state.aggregates import Aggregates
from serving.state.catalogue import VACANT, Catalogue
from serving.state.online_state import OnlineState
from tests.unit.serving.state.test_admission import NOW, PARTITIONS, WEIGHTS, Nearline, read, traffic

relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MIB = 2**20


class Minutes:
    """A clock that moves on by a minute whenever it is read."""

    def __init__(self) -> None:
        self._minutes = count()

    def __call__(self) -> float:
        return 60.0 * next(self._minutes)


def a_process(limit: int, steady=None, admit_after: int = 2) -> OnlineState:
    catalogue = Catalogue()
    process = OnlineState(catalogue, Aggregates(catalogue, PARTITIONS, WEIGHTS, admit_after=admit_after))
    process.eviction = ItemEviction(catalogue, process.aggregates, limit, steady or Minutes())
    return process


def a_wave(nearline: Nearline, say, name: str, ids: int) -> None:
    """Two people are at each of so many ids that nobody has heard of."""
    for number in range(ids):
        for person in range(2):
            user = f"{name}-{number % 100}-{person}"
            event = say("view", None, NOW, user_id=user, event_id=f"{name}-{number}-{person}")
            nearline.happen(replace(event, item_id=f"{name}-{number}"), number % PARTITIONS)


def known(process: OnlineState) -> dict[str, int]:
    return {item: position for position, item in enumerate(process.catalogue.ids) if item != VACANT}


def by_item(process: OnlineState) -> dict[str, dict[str, object]]:
    """What requests read of the process, by item id; VACANT must nowhere appear."""
    ids, counts = process.catalogue.ids, process.aggregates
    result = {}
    for item, position in known(process).items():
        covisited = counts.followers(position)
        at = np.array([position], np.int32)
        result[item] = {
            "count": float(counts.count(at)[0]),
            "followers": {}
            if covisited is None
            else dict(zip((ids[p] for p in covisited.items), covisited.visits, strict=True)),
            "exposed": tuple(counts.exposure._impressions[position])
            if position < len(counts.exposure._impressions)
            else (),
            "contexts": {label for label, items in counts.contexts._counts.items() if position in items},
        }
    return result


def sessions_of(process: OnlineState) -> dict[bytes, list[str]]:
    ids = process.catalogue.ids
    return {name: [ids[p] for p in live.positions] for name, live in process.aggregates.sessions._sessions.items()}


@settings(relaxed, max_examples=40)
@given(random=st.integers(0, 2**32).map(Random), events=st.integers(20, 120), places=st.integers(2, 7))
def test_no_item_is_ever_taken_for_one_that_had_its_position_before(say, random, events, places):
    limit = places * (POSITION_BYTES + 3_000)
    nearline, bounded, unbounded = Nearline(), a_process(limit), a_process(2**40)
    for event, partition in traffic(say, random, events):
        nearline.happen(event, partition)
        if random.random() < 0.3:
            changes = nearline.changes()
            for process in (bounded, unbounded):
                read(process, changes)
            by_item(bounded)  # a request that fills the caches changes nothing
    changes = nearline.changes()
    for process in (bounded, unbounded):
        read(process, changes)
    everything, here = by_item(unbounded), by_item(bounded)
    assert all(bounded.catalogue.position(item) == position for item, position in known(bounded).items())
    assert bounded.catalogue.items == len(here)
    for item, values in here.items():
        assert values["count"] <= everything[item]["count"] * 1.000_001
        assert values["followers"].keys() <= everything[item]["followers"].keys()
        assert values["contexts"] <= everything[item]["contexts"]
    visits = sessions_of(unbounded)
    for name, items in sessions_of(bounded).items():
        rest = iter(visits[name])
        assert all(item in rest for item in items)
    listed = [bounded.catalogue.ids[position] for position in bounded.aggregates.popular]
    assert VACANT not in listed


def test_waves_of_invented_ids_take_bounded_memory_and_positions(say):
    process = a_process(2 * MIB)
    taken, positions = [], []
    tracemalloc.start()
    try:
        for wave in range(6):
            nearline = Nearline()
            a_wave(nearline, say, f"w{wave}", 1_000)
            read(process, nearline.changes())
            del nearline
            gc.collect()
            taken.append(tracemalloc.get_traced_memory()[0])
            positions.append(len(process.catalogue))
    finally:
        tracemalloc.stop()
    assert process.catalogue.items < 1_500
    assert positions[-1] <= 3 * positions[0]
    assert taken[-1] < 1.5 * taken[2]
    assert max(taken) < 3 * 2 * MIB


def test_the_bytes_of_ids_are_about_their_memory(say):
    process, nearline = a_process(2**40), Nearline()
    a_wave(nearline, say, "w", 3_000)
    changes = nearline.changes()
    process.catalogue.ensure_all([f"other-{number}" for number in range(10)])
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    read(process, changes)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    estimated = int(process.aggregates.memory.of(process.eviction._evictable()).sum())
    assert 0.7 < estimated / taken < 2


def test_the_least_active_ids_go_and_frequent_ones_stay(say):
    process, nearline = a_process(2 * MIB), Nearline()
    for number in range(50):
        for person in range(8):
            event = say("view", number, NOW - 7 * 86_400, user_id=f"p{person}", event_id=f"{number}-{person}")
            nearline.happen(event, person % PARTITIONS)
    read(process, nearline.changes())
    a_wave(nearline, say, "invented", 2_000)
    read(process, nearline.changes())
    assert all(process.catalogue.position(f"item-{number}") is not None for number in range(50))
    assert process.catalogue.items < 2_000


def test_items_with_item_data_and_items_of_models_stay(say, an_item):
    process, nearline = a_process(MIB // 4), Nearline()
    for number in range(50):
        process.catalogue.put(an_item(number))
    process.eviction.keep(process.catalogue.ensure_all([f"of-model-{number}" for number in range(50)]))
    process.eviction.keep(process.catalogue.ensure_all([f"of-next-{number}" for number in range(50)]))
    a_wave(nearline, say, "w", 1_000)
    read(process, nearline.changes())
    assert process.catalogue.items < 1_000
    for name in ("item", "of-model", "of-next"):
        assert all(process.catalogue.position(f"{name}-{number}") is not None for number in range(50)), name
    process.eviction.keep(process.catalogue.ensure_all([f"of-next-{number}" for number in range(50)]))
    a_wave(nearline, say, "x", 1_000)
    read(process, nearline.changes())
    assert process.catalogue.position("of-model-1") is None


def test_an_item_that_was_deleted_stays_deleted(say):
    process, nearline = a_process(MIB // 4), Nearline()
    process.catalogue.forget("item-1")
    a_wave(nearline, say, "w", 1_000)
    read(process, nearline.changes())
    assert not process.catalogue.column("listed")[process.catalogue.position("item-1")]


def test_no_id_is_let_go_while_a_model_is_bound(say):
    process, nearline = a_process(MIB // 4), Nearline()
    a_wave(nearline, say, "w", 1_000)
    with process.eviction.models:
        read(process, nearline.changes())
        assert process.catalogue.items == 1_000
    read(process, [])
    assert process.catalogue.items < 1_000


def test_a_position_rests_before_another_item_has_it(say):
    now = [0.0]
    process, nearline = a_process(MIB // 4, lambda: now[0]), Nearline()
    forgotten = []
    process.eviction._forget_lists = lambda: forgotten.append(now[0])
    a_wave(nearline, say, "w", 1_000)
    read(process, nearline.changes())
    positions = len(process.catalogue)
    process.catalogue.ensure("at-once")
    assert process.catalogue.position("at-once") == positions
    now[0] = eviction.REST_SECONDS
    read(process, [])
    process.catalogue.ensure("later")
    assert process.catalogue.position("later") < positions
    assert forgotten == [eviction.REST_SECONDS]


def test_an_id_that_was_let_go_enters_again_with_its_people(say):
    process, nearline = a_process(MIB // 4), Nearline()
    a_wave(nearline, say, "w", 1_000)
    read(process, nearline.changes())
    gone = next(f"w-{number}" for number in range(1_000) if process.catalogue.position(f"w-{number}") is None)
    for number in range(40):
        event = say("view", None, NOW + number, user_id=f"new-{number}", event_id=f"n{number}")
        nearline.happen(replace(event, item_id=gone), number % PARTITIONS)
    read(process, nearline.changes())
    position = process.catalogue.position(gone)
    assert position is not None
    assert process.aggregates.count(np.array([position], np.int32))[0] > 0


async def test_a_service_keeps_the_items_of_its_model(shop):
    shop.models.publish("v1")
    async with shop.running() as service:
        models = service.state.models
        assert models.als is not None
        kept = np.concatenate(list(service._eviction._of_models))
        assert set(models.als_items.tolist()) <= set(kept.tolist())


def test_a_vacant_position_matches_no_filter_on_ids():
    catalogue = Catalogue()
    for name in ("a", "b"):
        catalogue.ensure(name)
    column = catalogue.fields.column(("item_id",))
    assert column.entries.owners.size == 2
    catalogue.vacate(0)
    assert catalogue.fields.column(("item_id",)).entries.owners.tolist() == [1]


def test_what_followed_an_item_is_not_what_has_its_position_now(say, an_item):
    process, nearline = a_process(MIB // 4), Nearline()
    process.catalogue.put(an_item(1))
    for person in range(2):
        for name, at in (("item-1", 10), ("gone", 20)):
            event = say("view", None, NOW - 30 * 86_400 + at, user_id=f"p{person}", event_id=f"{name}-{person}")
            nearline.happen(replace(event, item_id=name), 0)
    read(process, nearline.changes())
    position = process.catalogue.position("gone")
    assert process.aggregates.followers(0).items.tolist() == [position]
    a_wave(nearline, say, "w", 1_000)
    read(process, nearline.changes())
    read(process, [])
    assert process.catalogue.position("gone") is None
    process.catalogue.ensure_all([f"new-{number}" for number in range(2_000)])
    assert process.catalogue.ids[position].startswith("new-")
    assert process.aggregates.followers(0).items.size == 0
