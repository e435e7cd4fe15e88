"""The compact form of a user's value: all that ranking reads, in fewer bytes."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from signals import user_codec
from signals.compact import compact, expand
from signals.merge import merge
from signals.users import EMPTY, Entry, Session, Term, UserValue

TIMES = st.integers(0, 2_000_000_000_000).map(lambda milliseconds: milliseconds / 1_000) | st.floats(0, 2e9)
HASHES = st.binary(min_size=8, max_size=8)
ITEMS = st.sampled_from(["a", "b", "c", "d"])
ENTRIES = st.builds(
    Entry,
    offset=st.integers(0, 2**40),
    type=st.sampled_from(["view", "like"]),
    item=ITEMS,
    at=TIMES,
    value=st.none() | st.floats(0, 5),
    id_hash=HASHES,
    session=st.sampled_from([b"", b"12345678", b"abcdefgh"]),
    group=st.sampled_from([b"", b"12345678"]),
    position=st.none() | st.integers(0, 99),
    context=st.sampled_from([(), ("country:DE",), ("country:DE", "device:mobile")]),
    scroll=st.none() | st.floats(0, 1),
)
VALUES = st.builds(
    UserValue,
    offset=st.integers(0, 2**40),
    recent=st.lists(ENTRIES, max_size=6).map(tuple),
    session=st.none() | st.builds(Session, st.none() | st.text(max_size=5), TIMES, TIMES, st.integers(1, 9), HASHES),
    seen=st.dictionaries(ITEMS, TIMES),
    links=st.lists(st.text(max_size=5), max_size=2).map(tuple),
    counters=st.dictionaries(st.sampled_from(["view", "like"]), st.integers(1, 99)),
    terms=st.lists(st.builds(Term, st.integers(0, 99), st.text(max_size=5), TIMES, id_hash=HASHES), max_size=2).map(
        tuple
    ),
    id_hashes=st.lists(HASHES, max_size=3).map(b"".join),
    older=st.dictionaries(st.sampled_from(["like", "cart"]), st.lists(ENTRIES, min_size=1, max_size=3).map(tuple)),
    visits=st.integers(0, 9),
    shown=st.lists(st.integers(0, 99), max_size=3).map(tuple),
)


def read_by_ranking(value: UserValue, *, hashes: bool = False) -> UserValue:
    """The value without what only folding reads."""

    def bare(entries):
        return entries if hashes else tuple(msgspec.structs.replace(entry, id_hash=b"") for entry in entries)

    return msgspec.structs.replace(
        value,
        id_hashes=b"",
        shown=(),
        recent=bare(value.recent),
        older={type_: bare(entries) for type_, entries in value.older.items()},
        terms=tuple(msgspec.structs.replace(term, id_hash=b"") for term in value.terms),
    )


@given(VALUES)
def test_nothing_that_ranking_reads_is_lost(value):
    again = expand(compact(user_codec.encode(value), alone=True))
    assert read_by_ranking(again) == read_by_ranking(value)
    assert list(again.seen) == list(value.seen)


@given(VALUES, st.lists(VALUES, max_size=2))
def test_values_that_are_read_together_are_merged_as_before(value, guests):
    together = [expand(compact(user_codec.encode(each), alone=False)) for each in (value, *guests)]
    assert read_by_ranking(merge(together[0], together[1:])) == read_by_ranking(merge(value, guests))


@given(st.lists(ENTRIES, min_size=2, max_size=6, unique_by=lambda entry: (entry.offset, entry.id_hash)))
def test_entries_of_one_history_stay_apart_where_their_hashes_are_left_out(entries):
    entries = [msgspec.structs.replace(entry, offset=number) for number, entry in enumerate(entries)]
    value = expand(compact(user_codec.encode(UserValue(offset=9, recent=tuple(entries))), alone=True))
    assert len(merge(EMPTY, [value]).recent) == len(entries)


def test_a_value_as_the_store_keeps_it_is_read_as_it_is():
    value = UserValue(offset=3, recent=(Entry(3, "view", "a", 1.0, None, b"12345678"),), seen={"a": 1.0})
    assert expand(user_codec.encode(value)) == value
