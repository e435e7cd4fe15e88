"""What is kept of the catalogue between requests is what would be found by looking through all of it."""

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import Item
from serving.state import recent_items
from serving.state.catalogue import Catalogue

START = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = st.integers(0, 9)
ITEMS = st.builds(
    lambda number, published, opens, closes, hidden: Item(
        item_id=f"item-{number}",
        categories=(f"category-{number % 3}",),
        first_at=START,
        published_at=None if published is None else START + timedelta(days=published),
        available_from=None if opens is None else START + timedelta(days=opens),
        available_until=None if closes is None else START + timedelta(days=closes),
        hidden=hidden,
    ),
    st.integers(0, 7),
    st.none() | DAYS,
    st.none() | DAYS,
    st.none() | DAYS,
    st.booleans(),
)
STEPS = st.lists(st.tuples(st.lists(ITEMS, max_size=3), DAYS), min_size=1, max_size=8)


def seconds(days: float) -> float:
    return (START + timedelta(days=days)).timestamp()


@given(STEPS)
def test_what_may_be_shown_follows_items_and_time(steps):
    catalogue = Catalogue()
    for items, day in steps:
        for item in items:
            catalogue.put(item)
        everything = np.arange(len(catalogue), dtype=np.int32)
        assert (catalogue.all_visible(seconds(day)) == catalogue.visible(everything, seconds(day))).all()


@given(STEPS, st.integers(1, 4), st.integers(1, 10), st.randoms())
def test_the_newest_allowed_items_are_those_that_a_whole_look_finds(steps, count, kept, random):
    catalogue = Catalogue()
    snapshot_size, recent_items._SNAPSHOT_SIZE = recent_items._SNAPSHOT_SIZE, kept
    try:
        for items, day in steps:
            for item in items:
                catalogue.put(item)
            allowed = np.array([random.random() < 0.7 for _ in catalogue.ids], np.bool_)
            now, since = seconds(day), seconds(day - 4)
            arrived, found = catalogue.recent_items.newest(now, since, allowed, count)
            assert arrived.items[found].tolist() == whole_look(catalogue, now, since, allowed)[:count]
    finally:
        recent_items._SNAPSHOT_SIZE = snapshot_size


def whole_look(catalogue: Catalogue, now: float, since: float, allowed: np.ndarray) -> list[int]:
    born, dated, ties = (catalogue.column(name) for name in ("born", "dated", "hash"))
    young = [
        at
        for at in range(len(catalogue))
        if allowed[at] and since < born[at] <= now and (dated[at] or born[at] > catalogue.loaded_at + 86_400)
    ]
    return sorted(young, key=lambda at: (-born[at], ties[at]))
