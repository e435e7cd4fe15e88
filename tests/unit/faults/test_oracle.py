"""The oracle of the fault table finds each event that is lost, and each that counts twice."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.faults.oracle import PLAIN, PLAIN_TYPES, Expected, LogEvent, compare, expected

EVENTS = st.lists(
    st.builds(
        LogEvent,
        st.uuids().map(str),
        st.sampled_from([f"{PLAIN}{n}" for n in range(4)]),
        st.sampled_from([f"{PLAIN}i{n}" for n in range(4)]),
        st.sampled_from(PLAIN_TYPES),
    ),
    min_size=1,
    unique_by=lambda event: event.event_id,
)


@given(EVENTS, st.randoms())
def test_an_event_counts_once_however_often_and_in_whatever_order_the_log_has_it(events, chance):
    repeated = events + [chance.choice(events) for _ in range(5)]
    chance.shuffle(repeated)
    assert expected(repeated) == expected(events)
    assert compare({event.event_id for event in events}, repeated, expected(events))[:2] == (0, 0)


@given(EVENTS, st.data())
def test_each_acknowledged_event_that_the_log_lacks_is_lost(events, data):
    absent = data.draw(st.sets(st.sampled_from(events), min_size=1))
    logged = [event for event in events if event not in absent]
    assert compare({event.event_id for event in events}, logged, expected(logged))[:2] == (len(absent), 0)


@given(EVENTS, st.data())
def test_each_event_of_the_log_that_the_signals_lack_is_lost_even_if_nobody_got_an_answer(events, data):
    unfolded = data.draw(st.sets(st.sampled_from(events), min_size=1))
    stored = expected(event for event in events if event not in unfolded)
    assert compare(set(), events, stored)[:2] == (len(unfolded), 0)


@given(EVENTS, st.data())
def test_an_event_that_one_view_counts_twice_is_doubled(events, data):
    twice = data.draw(st.sampled_from(events))
    right = expected(events)
    assert compare(set(), events, Expected(right.users + Counter([(twice.user, twice.type)]), right.items)).doubled == 1
    assert compare(set(), events, Expected(right.users, right.items + Counter([(twice.item, twice.type)]))).doubled == 1


def test_a_loss_does_not_hide_behind_another_event_that_counts_twice():
    events = [LogEvent("a", f"{PLAIN}u", f"{PLAIN}i", "view"), LogEvent("b", f"{PLAIN}u", f"{PLAIN}i", "click")]
    stored = expected([events[0], events[0]._replace(event_id="c")])
    assert compare({"a", "b"}, events, stored)[:2] == (1, 1)


def test_what_others_did_is_not_counted_here():
    messy = LogEvent("a", "messy-1", "i1", "forget")
    assert expected([messy]) == Expected(Counter(), Counter())
    assert compare({"a"}, [messy], expected([]))[:2] == (0, 0)
