"""The newest sessions in memory are what the tails of the partitions say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serving.state.aggregates import Aggregates
from serving.state.catalogue import Catalogue
from serving.state.live_sessions import LiveSessions
from signals import aggregates, users
from signals.kinds.tail import CHUNK, TailChunk, TailEntry

NOW = 1_795_428_000.0


def visited(world):
    """Sessions by the items that they hold."""
    tail, ids = world.aggregates.sessions.tail, world.catalogue.ids
    found = set()
    for item in range(len(ids)):
        lengths, items = tail.items_of(tail.holding(item).astype(np.int64))
        ends = np.cumsum(lengths)
        found |= {tuple(ids[at] for at in items[end - length : end]) for end, length in zip(ends, lengths, strict=True)}
    return found


def chunk_key(offset):
    return f"tail:{offset // CHUNK}"


def tell(world, entries, partition=0, gone=(), whole=False):
    cells = {}
    for session, item, offset in entries:
        new = TailEntry(offset, session.encode(), f"item-{item}", "click", NOW + offset)
        cell = cells.get(chunk_key(offset), TailChunk(offset // CHUNK))
        cells[chunk_key(offset)] = TailChunk(cell.chunk, (*cell.entries, new))
    for session, item, offset in gone:
        old = TailEntry(offset, session.encode(), f"item-{item}", "click", NOW + offset)
        cell = cells.get(chunk_key(offset), TailChunk(offset // CHUNK))
        cells[chunk_key(offset)] = TailChunk(cell.chunk, cell.entries, (*cell.gone, old))
    world.merge(partition, {key: aggregates.encode(cell) for key, cell in cells.items()}, whole)


def test_the_events_of_users_are_in_their_live_sessions(world, say):
    world.happen(say("click", 1), say("click", 2, user_id="bob"), say("view", 3), say("like", 3))
    assert visited(world) == {("item-1", "item-3"), ("item-2",)}


def test_sessions_grow_over_chunks_and_only_with_what_is_new(world):
    tell(world, [("a", 1, 250), ("b", 2, 251)])
    tell(world, [("a", 1, 250), ("b", 2, 251), ("a", 3, 255), ("a", 4, 256)])
    tell(world, [("a", 1, 250), ("b", 2, 251), ("a", 3, 255), ("a", 4, 256)])
    assert visited(world) == {("item-1", "item-3", "item-4"), ("item-2",)}


def test_a_retracted_event_leaves_its_session(world):
    tell(world, [("a", 1, 0), ("a", 2, 1), ("b", 2, 2)])
    tell(world, [("a", 1, 0), ("b", 2, 2)], gone=[("a", 2, 1)])
    assert visited(world) == {("item-1",), ("item-2",)}
    tell(world, [("a", 1, 0)], gone=[("a", 2, 1), ("b", 2, 2)])
    assert visited(world) == {("item-1",)}


def test_a_partition_that_began_anew_loses_its_sessions_and_no_others(world):
    tell(world, [("a", 1, 0)], partition=0)
    tell(world, [("b", 2, 0)], partition=1)
    tell(world, [("c", 3, 0)], partition=0, whole=True)
    assert visited(world) == {("item-3",), ("item-2",)}


def test_the_sessions_that_ended_last_are_kept(world):
    world.aggregates = Aggregates(world.catalogue, 8, {}, sessions=2)
    tell(world, [(f"s{n}", n, n) for n in range(4)], partition=1)
    tell(world, [("t", 9, 2)], partition=0)
    assert visited(world) == {("item-3",), ("item-9",)}
    tell(world, [("t", 9, 2), ("u", 8, 9)], partition=0)
    assert visited(world) == {("item-3",), ("item-8",)}


@given(st.data(), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=12))
def test_who_followed_all_along_and_who_reads_everything_now_keep_the_same_sessions(data, seen):
    """Sessions of one visit each, some ended at once, and who came last is not who ended last."""
    entries = [TailEntry(n, b"s%d" % n, f"item-{item}", "click", NOW + at) for n, (item, at) in enumerate(seen)]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(entries)))))
    kept = []
    for steps in ((len(entries),), (*cuts, len(entries))):
        sessions = LiveSessions(Catalogue(), capacity=4)
        for end in steps:
            list(sessions.apply_tails({0: [TailChunk(0, tuple(entries[:end]))]}))
        kept.append({entry.session for entry in entries if entry.session in sessions.tail})
    assert kept[0] == kept[1]


def test_a_users_own_session_can_be_excluded_from_the_neighbours(world, say):
    world.happen(say("click", 1), say("click", 1, user_id="bob"))
    value = users.fold(users.EMPTY, say("click", 1), 0)
    others = world.aggregates.sessions.tail.without(value.session.hash)
    assert others.holding(world.catalogue.position("item-1")).size == 1
