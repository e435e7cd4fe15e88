"""Events that the collector kept without ids: they count for items, and belong to nobody."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.keys import UNLINKED_SESSION
from signals import users

ITEMS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=60)


def unlinked(say, item, number, **fields):
    # One digit, so that all share one value.
    name = f"{number:x}0"
    return say(item, seconds=float(number), user_id=None, session_id=UNLINKED_SESSION + name, unlinked=True, **fields)


@given(ITEMS)
def test_they_count_for_the_popularity_of_their_items(partition, say, items):
    seen = partition(*(unlinked(say, item, number) for number, item in enumerate(items)), stored=True)
    counts = {item: counters.types["click"].count for item, counters in seen.of("pop").items()}
    assert counts == {item: items.count(item) for item in set(items)}


@given(ITEMS)
def test_they_link_no_items_and_admit_none(partition, say, items):
    seen = partition(*(unlinked(say, item, number, kind="purchase") for number, item in enumerate(items)))
    assert (seen.of("next"), seen.of("with"), seen.of("people"), seen.of("query")) == ({}, {}, {}, {})


@given(ITEMS)
def test_no_two_are_of_one_session(partition, say, items):
    seen = partition(*(unlinked(say, item, number) for number, item in enumerate(items)))
    sessions = [entry.session for chunk in seen.of("tail").values() for entry in chunk.entries]
    assert len(set(sessions)) == len(sessions) == len(items)


def test_a_repeat_counts_once(partition, say):
    once = unlinked(say, "a", 1)
    assert partition(once, once).of("pop")["a"].types["click"].count == 1


def test_their_value_keeps_no_seen_items_and_no_searches(partition, say):
    seen = partition(*(unlinked(say, f"item-{number}", number, kind="like") for number in range(300)))
    [(key, value)] = seen.values.items()
    assert key == "x:0"
    assert (value.seen, value.older, value.terms, value.links) == ({}, {}, (), ())
    assert len(value.recent) == users.RECENT


def test_an_import_without_ids_still_stands_for_its_people(partition, say):
    assert partition(unlinked(say, "a", 1, imported=True)).of("people")["a"].imported
