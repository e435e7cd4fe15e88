"""A value in two parts is the value that the fold gave, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import UNREADABLE
from schemas.events import UNLINK_GUEST
from schemas.values import tails
from signals import user_codec, users
from signals.users import EMPTY, UserValue

randoms = st.integers(0, 2**32).map(Random)


def histories(events, start: UserValue = EMPTY) -> Iterator[tuple[UserValue, bool]]:
    """The value after each event, and whether an event since the start has removed history."""
    value, removed = start, False
    for offset, event in enumerate(events, start=start.offset + 1):
        removed |= users.removes_history(event)
        value = users.fold(value, event, offset)
        yield value, removed


def after(events) -> UserValue:
    value = EMPTY
    for offset, event in enumerate(events):
        value = users.fold(value, event, offset)
    return value


def in_parts(base: UserValue, value: UserValue) -> bytes:
    tail = user_codec.encode_tail(value, user_codec.basis_of(base))
    assert tail is not None
    return tails.join(tails.BASE + user_codec.encode(base), tail)


@pytest.fixture(scope="session")
def clicks(say):
    """Clicks on items with these numbers."""
    return lambda *numbers: [say(f"i{n}", seconds=n) for n in numbers]


@given(randoms, st.integers(1, 200), st.integers(1, 60))
@settings(max_examples=50)
def test_events_without_ids_have_tails_too(traffic, random, before, later):
    events = traffic(random, before + later, people=1, items=300)
    events = [msgspec.structs.replace(event, unlinked=True) for event in events if not users.removes_history(event)]
    base = after(events[:before])
    for value, _ in histories(events[before:], base):
        tail = user_codec.encode_tail(value, user_codec.basis_of(base))
        if tail is not None:
            joined = tails.join(tails.BASE + user_codec.encode(base), tail)
            assert user_codec.whole(joined) == user_codec.encode(value)


@pytest.mark.parametrize("ends", ["unlinked", "pushed out"])
def test_a_base_with_a_link_that_has_ended_gets_no_tail(say, clicks, ends):
    """The guest may have been erased, so no stored part may name it."""
    base = after([say(None, "identify", anonymous_id="guest"), *clicks(1, 2)])
    if ends == "unlinked":
        later = [say(None, UNLINK_GUEST, anonymous_id="guest")]
    else:
        later = [say(None, "identify", seconds=n, anonymous_id=f"guest{n}") for n in range(users.LINKS)]
    found = [user_codec.encode_tail(value, user_codec.basis_of(base)) for value, _ in histories(later, base)]
    assert [tail is None for tail in found] == [False] * (len(later) - 1) + [True]


@given(randoms, st.integers(1, 500), st.integers(0, 60), st.sampled_from([3, 40, 2_000]))
@settings(max_examples=200)
def test_base_and_tail_give_the_bytes_of_the_value(traffic, random, before, later, items):
    events = traffic(random, before + later, people=1, items=items)
    base = after(events[:before])
    basis, stored = user_codec.basis_of(base), tails.BASE + user_codec.encode(base)
    for value, removed in histories(events[before:], base):
        tail = user_codec.encode_tail(value, basis)
        if removed or tail is None:
            return
        joined = tails.join(stored, tail)
        assert user_codec.whole(joined) == user_codec.encode(value)
        assert user_codec.decode_with_basis(joined) == (value, basis)
        assert user_codec.head(joined) == (value.offset, value.links)


@pytest.fixture(scope="session")
def full_value(clicks):
    """All bounds are reached: seen items pass into the filter, old entries into the older ones, hashes drop out."""
    return after(clicks(*range(1_100)))


@given(randoms, st.integers(1, 60))
@settings(max_examples=50)
def test_a_full_value_has_tails_too(traffic, full_value, random, count):
    events = [event for event in traffic(random, count, people=1, items=3_000) if not users.removes_history(event)]
    for value, _ in histories(events, full_value):
        assert user_codec.whole(in_parts(full_value, value)) == user_codec.encode(value)


def test_a_base_without_a_tail_is_the_value_as_of_the_base(clicks):
    value = after(clicks(*range(9)))
    stored = tails.BASE + user_codec.encode(value)
    assert user_codec.decode(stored) == value
    assert user_codec.whole(stored) == user_codec.encode(value)
    assert user_codec.head(stored) == (8, ())


def test_a_value_that_is_whole_has_no_basis(clicks):
    value = after(clicks(1, 2))
    assert user_codec.decode_with_basis(user_codec.encode(value)) == (value, None)
    assert user_codec.whole(user_codec.encode(value)) == user_codec.encode(value)


def test_a_tail_holds_no_more_entries_than_its_limit(clicks):
    base = after(clicks(*range(100)))
    basis = user_codec.basis_of(base)
    sizes = [user_codec.encode_tail(value, basis) for value, _ in histories(clicks(*range(100, 180)), base)]
    assert [tail is None for tail in sizes] == [n >= user_codec.TAIL_ENTRIES for n in range(80)]


def test_a_tail_of_events_without_entries_ends_where_the_hashes_no_longer_reach_the_base(say, clicks):
    base = after(clicks(*range(3)))
    searches = [say(None, "search", seconds=n, query="q") for n in range(users.DEDUPLICATION)]
    values = [value for value, _ in histories(searches, base)]
    basis = user_codec.basis_of(base)
    assert user_codec.whole(in_parts(base, values[-2])) == user_codec.encode(values[-2])
    assert user_codec.encode_tail(values[-1], basis) is None


def test_a_release_that_knows_no_parts_cannot_take_an_old_base_for_the_value(clicks):
    base, value = (after(clicks(*range(n))) for n in (8, 9))
    of_the_release_before = msgspec.msgpack.Decoder(UserValue)
    for stored in (tails.BASE + user_codec.encode(base), in_parts(base, value)):
        with pytest.raises(msgspec.MsgspecError):
            of_the_release_before.decode(stored)


def test_a_tail_of_another_base_is_unreadable(clicks):
    base, value = (after(clicks(*range(n))) for n in (8, 9))
    other = tails.BASE + user_codec.encode(after(clicks(*range(7))))
    joined = tails.join(other, user_codec.encode_tail(value, user_codec.basis_of(base)))
    with pytest.raises(msgspec.ValidationError, match="another base"):
        user_codec.decode(joined)
    assert user_codec.whole(joined) == joined


@given(st.data())
def test_damaged_parts_are_unreadable_or_another_value_but_never_another_error(clicks, data):
    base, value = (after(clicks(*range(n))) for n in (8, 12))
    joined = bytearray(in_parts(base, value))
    position = data.draw(st.integers(0, len(joined) - 1))
    joined[position] ^= data.draw(st.integers(1, 255))
    damaged = bytes(joined[: data.draw(st.integers(1, len(joined)))])
    for read in (user_codec.decode, user_codec.head):
        with suppress(UNREADABLE):
            read(damaged)


def test_what_the_parts_weigh_is_far_less_than_the_value(clicks):
    base = after(clicks(*range(500)))
    value = users.fold(base, clicks(500)[0], 500)
    tail = user_codec.encode_tail(value, user_codec.basis_of(base))
    assert tail is not None
    assert len(tail) * 20 < len(user_codec.encode(value))
