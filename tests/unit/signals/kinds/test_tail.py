"""The newest interactions of a partition by offset, compared with the plain list of events, and within the ring."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from signals import users
from signals.counters import Retraction
from signals.kinds import tail
from signals.kinds.tail import CHUNK, RING, TailChunk

randoms = st.integers(0, 2**32).map(Random)


def in_order(partition):
    cells = sorted(partition.of("tail").values(), key=lambda cell: cell.chunk)
    return [entry for cell in cells for entry in cell.entries]


@settings(max_examples=50)
@given(randoms, st.integers(1, 300))
def test_the_tail_is_what_all_histories_hold_in_order_of_offsets(traffic, partition, random, count):
    state = partition(*(each for each in traffic(random, count) if each.type != "forget"))
    histories = sorted(entry for value in state.values.values() for entry in map(_plain, value.recent))
    found = [(entry.offset, entry.item, entry.type, entry.at, entry.session) for entry in in_order(state)]
    assert found == [each for each in histories if each[2] not in users.NEGATIVE]


def _plain(entry: users.Entry):
    return entry.offset, entry.item, entry.type, entry.at, entry.session


def test_interactions_of_one_visit_share_a_hash_that_names_nobody(partition, say):
    state = partition(say("a"), say("b", seconds=60), say("c", seconds=9_000), say("d", user_id="bob", seconds=60))
    visits = {entry.item: entry.session for entry in in_order(state)}
    assert visits["a"] == visits["b"]
    assert len(set(visits.values())) == 3
    assert all(len(hashed) == 8 for hashed in visits.values())


def test_visits_that_the_client_names_are_told_apart(partition, say):
    state = partition(*(say(f"i{n}", session_id=f"s{n % 2}") for n in range(2)))
    assert len({entry.session for entry in in_order(state)}) == 2


def test_an_event_writes_its_own_chunk_alone(partition, say):
    state = partition()
    for n in range(2 * CHUNK):
        changed = state.happen(say(f"i{n % 7}", seconds=n))
        assert [key for key in changed if key.startswith("tail:")] == [f"tail:{n // CHUNK}"]
    assert [len(cell.entries) for cell in state.of("tail").values()] == [CHUNK, CHUNK]


def test_a_later_lap_of_the_ring_replaces_the_chunk(partition, say):
    state = partition(*(say(f"i{n}", seconds=n) for n in range(3)))
    state.offset = CHUNK * RING + 1
    assert "tail:0" in state.happen(say("new", seconds=9))
    assert [entry.item for entry in in_order(state)] == ["new"]


def test_what_is_taken_back_leaves_the_tail_and_is_named(partition, say):
    state = partition(say("a", "like"), say("b"), say("a", "unlike", seconds=5))
    assert [entry.item for entry in in_order(state)] == ["b"]
    assert [entry.item for entry in state.of("tail")["0"].gone] == ["a"]
    state.happen(say(None, "retract", event_id="b-click-0.0"))
    assert in_order(state) == []
    state.offset = CHUNK * RING
    state.happen(say("c", seconds=7))
    assert state.of("tail")["0"].gone == ()


def test_taking_back_what_a_later_lap_has_replaced_changes_nothing(say):
    cell = TailChunk(RING, (tail.TailEntry(CHUNK * RING, b"12345678", "a", "click", 0.0),))
    assert tail.fold(cell, [Retraction(0)]) == cell
