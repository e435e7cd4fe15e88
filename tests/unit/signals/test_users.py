"""The value of one user, compared with a plain list of events, and within its bounds."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import LoggedEvent
from signals import users
from signals.bloom import holds
from signals.user_codec import decode, encode
from signals.users import EMPTY, UserValue, entry_at, fold, history

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def event(
    kind: str = "click", item: str | None = "i", event_id: str = "e", minutes: float = 0, **fields
) -> LoggedEvent:
    at = NOW + timedelta(minutes=minutes)
    item = None if kind in {"search", "identify", "forget"} else item
    given = {"user_id": "ann", "item_id": item, **fields}
    return LoggedEvent(event_id=event_id, type=kind, occurred_at=at, received_at=NOW, **given)


def folded(events: list[LoggedEvent]) -> UserValue:
    value = EMPTY
    for offset, each in enumerate(events):
        value = fold(value, each, offset)
    return value


def clicks(count: int) -> list[LoggedEvent]:
    return [event(item=f"i{n}", event_id=f"e{n}", minutes=n) for n in range(count)]


class Retelling:
    """What a user did, kept without bounds in the plainest way."""

    def __init__(self, events: list[LoggedEvent]) -> None:
        self.did: list[tuple[int, LoggedEvent]] = []
        self.counted: list[str] = []
        self.ids: set[str] = set()
        self.unseen: list[tuple[int, str]] = []
        for offset, each in enumerate(events):
            self._tell(offset, each)

    def _tell(self, offset: int, each: LoggedEvent) -> None:
        if each.type == "forget":
            self.__init__([])
        elif each.type == "retract":
            gone = {e.item_id for _, e in self.entries() if e.event_id == each.event_id}
            self.did = [(at, e) for at, e in self.did if e.event_id != each.event_id or e.type == "identify"]
            self.unseen += [(offset, item) for item in gone - {e.item_id for _, e in self.entries()}]
        elif each.event_id not in self.ids:
            self.ids.add(each.event_id)
            self.counted.append(each.type)
            if each.type == "unlike":
                self.did = [(at, e) for at, e in self.did if (e.type, e.item_id) != ("like", each.item_id)]
            self.did.append((offset, each))

    def entries(self) -> list[tuple[int, LoggedEvent]]:
        return [(at, e) for at, e in self.did if users.is_interaction(e)]

    def terms(self) -> list[tuple[int, str]]:
        return [(at, e.query) for at, e in self.did if e.type == "search"]

    def links(self) -> list[str]:
        return list(dict.fromkeys(e.anonymous_id for _, e in self.did if e.type == "identify"))


randoms = st.integers(0, 2**32).map(Random)


@given(randoms, st.integers(0, 60))
def test_a_value_is_what_a_plain_retelling_says(traffic, random, count):
    events = traffic(random, count, people=1)
    value, expected = folded(events), Retelling(events)
    entries = [(e.offset, e.type, e.item, e.at, e.value, e.id_hash) for e in value.recent]
    assert entries == [
        (at, e.type, e.item_id, e.occurred_at.timestamp(), e.value, users.id_hash(e.event_id))
        for at, e in expected.entries()
    ]
    assert [(term.offset, term.query) for term in value.terms] == expected.terms()
    assert list(value.links) == expected.links()
    assert value.counters == Counter(expected.counted)
    assert {e.item for e in value.recent} <= value.seen.keys()
    assert value.offset == count - 1


@given(randoms, st.integers(0, 60))
def test_folding_again_gives_the_same_bytes_wherever_it_was_stored_meanwhile(traffic, random, count):
    events = traffic(random, count, people=1)
    stored = EMPTY
    for offset, each in enumerate(events):
        stored = fold(stored, each, offset)
        if random.random() < 0.3:
            stored = decode(encode(stored))
    assert encode(stored) == encode(folded(events))


@given(randoms, st.integers(1, 60))
def test_a_repeat_changes_nothing_but_the_offset(traffic, random, count):
    events = [e for e in traffic(random, count, people=1) if e.type not in {"forget", "retract"}]
    value = folded(events)
    for each in events:
        again = fold(value, each, count)
        assert (again.recent, again.seen, again.counters, again.session) == (
            value.recent,
            value.seen,
            value.counters,
            value.session,
        )
        assert again.offset == count


@settings(max_examples=30)
@given(st.integers(1, 300), st.integers(0, 300), st.integers(1, 40))
def test_history_is_as_it_was_before_any_offset_within_reach(count, before, limit):
    before = min(before, count)
    final, then = folded(clicks(count)), folded(clicks(before))
    if sum(entry.offset >= before for entry in final.recent) + limit <= users.RECENT:
        assert history(final, before, limit) == then.recent[-limit:]


@given(randoms, st.integers(1, 60))
def test_an_entry_is_found_at_its_offset_and_nowhere_else(traffic, random, count):
    value = folded(traffic(random, count, people=1))
    kept = {entry.offset: entry for entry in value.recent}
    assert [entry_at(value, offset) for offset in range(count)] == [kept.get(offset) for offset in range(count)]


def test_everything_is_bounded_even_for_the_longest_names():
    value = EMPTY
    for n in range(3 * users.SEEN):
        name = f"{n:0>128}"
        kind = ["click", "search", f"kind{n % 800:0>28}", "identify"][n % 4]
        each = event(kind, item=name, event_id=name[-64:], minutes=n, query=f"{n:0>512}", anonymous_id=name)
        value = fold(value, each, n)
    assert len(value.recent) == users.RECENT
    assert len(value.seen) == users.SEEN
    assert len(value.terms) == users.TERMS
    assert len(value.links) == users.LINKS
    assert len(value.counters) == users.TYPES
    assert len(value.id_hashes) == 8 * users.DEDUPLICATION
    assert len(encode(value)) < 256 * 1024


def test_the_oldest_goes_first():
    count = users.SEEN + 10
    value = folded(clicks(count))
    assert [entry.item for entry in value.recent] == [f"i{n}" for n in range(count - users.RECENT, count)]
    assert list(value.seen) == [f"i{n}" for n in range(10, count)]
    touched = fold(value, event(item="i10", event_id="again"), count)
    assert list(fold(touched, event(item="new", event_id="new"), count + 1).seen)[-3:] == [
        f"i{count - 1}",
        "i10",
        "new",
    ]


def test_a_repeat_beyond_the_remembered_ids_counts_again():
    events = clicks(users.DEDUPLICATION + 1)
    assert folded([*events, events[1]]).counters == {"click": users.DEDUPLICATION + 1}
    assert folded([*events, events[0]]).counters == {"click": users.DEDUPLICATION + 2}


@given(st.lists(st.binary(min_size=8, max_size=8), max_size=20), st.binary(min_size=8, max_size=8))
def test_a_remembered_id_is_found_only_as_a_whole(hashes, wanted):
    assert users._known(b"".join(hashes), wanted) == (wanted in hashes)


def test_an_unlike_takes_back_every_like_of_its_item_and_nothing_else():
    events = [
        event("like", "a", "1"),
        event("click", "a", "2"),
        event("like", "b", "3"),
        event("like", "a", "4"),
        event("unlike", "a", "5"),
    ]
    assert [(e.type, e.item) for e in folded(events).recent] == [("click", "a"), ("like", "b"), ("unlike", "a")]
    assert [e.offset for e in users.retracted(folded(events[:-1]), events[-1])] == [0, 3]


def test_a_repeated_unlike_takes_back_nothing_that_came_after_the_first():
    events = [event("like", "a", "1"), event("unlike", "a", "2"), event("like", "a", "3"), event("unlike", "a", "2")]
    assert [e.type for e in folded(events).recent] == ["unlike", "like"]
    assert users.retracted(folded(events[:-1]), events[-1]) == ()


def test_a_retract_takes_back_what_had_its_id_and_unsees_what_is_left_of_nothing():
    events = [event(item="a", event_id="1"), event(item="b", event_id="2"), event("view", "a", "3")]
    assert list(folded([*events, event("retract", None, "2")]).seen) == ["a"]
    assert set(folded([*events, event("retract", None, "1")]).seen) == {"a", "b"}
    assert [e.item for e in folded([*events, event("retract", None, "1")]).recent] == ["b", "a"]


def test_what_was_retracted_does_not_come_back_with_a_late_repeat():
    click = event(item="a", event_id="1")
    assert folded([click, event("retract", None, "1"), click]).recent == ()


def test_forget_leaves_nothing_but_the_offset():
    value = folded([*clicks(10), event("search", query="q", event_id="s"), event("forget", event_id="f")])
    assert value == UserValue(offset=11)


@pytest.mark.parametrize(
    ("second", "same"),
    [
        ({"minutes": 29}, True),
        ({"minutes": 31}, False),
        ({"minutes": -29}, True),
        ({"minutes": -31}, False),
        ({"minutes": 1, "session_id": "another"}, False),
    ],
)
def test_a_session_without_a_name_ends_with_a_pause_or_a_name(second, same):
    value = folded([event(), event(event_id="2", **second)])
    assert value.session is not None
    assert value.session.events == (2 if same else 1)


@pytest.mark.parametrize(
    ("second", "same"),
    [
        ({"minutes": 23 * 60}, True),
        ({"minutes": 25 * 60}, False),
        ({"minutes": 1, "session_id": "other"}, False),
        ({"minutes": 1, "session_id": None}, False),
    ],
)
def test_a_session_that_the_client_names_goes_on_under_its_name_for_a_day_at_most(second, same):
    value = folded([event(session_id="one"), event(event_id="2", **{"session_id": "one", **second})])
    assert value.session is not None
    assert value.session.events == (2 if same else 1)


def test_searches_links_and_forgetting_are_no_interactions():
    events = [event("search", query="q", event_id="1"), event("identify", anonymous_id="g", event_id="2")]
    value = folded([*events, event("impression", "a", "3")])
    assert (value.recent, value.seen) == ((), {})
    assert (value.terms[0].query, value.links) == ("q", ("g",))


@settings(max_examples=30)
@given(st.integers(1, 300), st.integers(-1, 300), st.integers(1, 40))
def test_a_value_will_drop_unread_entries_if_a_late_signal_needs_them_or_their_history(count, applied, limit):
    value = folded(clicks(count))
    late = sum(entry.offset > applied for entry in value.recent)
    assert users.will_drop_unread(value, applied, limit) == (late + limit > users.RECENT)


@pytest.mark.parametrize(("kind", "bound"), [("search", users.TERMS), ("impression", users.IMPRESSION_OFFSETS)])
def test_a_value_will_drop_an_unread_search_or_impression_once_it_holds_as_many_as_it_may(kind, bound):
    value = folded([event(kind, event_id=f"e{n}", query="q") for n in range(bound)])
    assert users.will_drop_unread(value, -1, 32)
    assert not users.will_drop_unread(value, 0, 32)


def test_a_purchase_outlasts_many_views_and_no_more_than_so_many_do():
    bought = [event("purchase", f"p{n}", f"p{n}") for n in range(users.OLDER + 2)]
    value = folded([*bought, *(event("view", f"v{n}", f"v{n}") for n in range(2 * users.RECENT))])
    assert [entry.type for entry in value.recent] == ["view"] * users.RECENT
    assert [entry.item for entry in value.older["purchase"]] == [f"p{n}" for n in range(2, users.OLDER + 2)]
    assert list(value.older) == ["purchase"]
    assert users.remembered(value)[users.OLDER - 1 :] == (value.older["purchase"][-1], *value.recent)


def test_what_is_kept_is_taken_back_too():
    views = [event("view", f"v{n}", f"v{n}") for n in range(users.RECENT)]
    value = folded([event("like", "a", "1"), event("like", "b", "2"), *views, *views[:2]])
    value = fold(value, event("view", "v", "v"), 500)
    value = fold(value, event("view", "w", "w"), 501)
    assert [entry.item for entry in value.older["like"]] == ["a", "b"]
    assert [e.item for e in fold(value, event("unlike", "a", "3"), 502).older["like"]] == ["b"]
    assert [e.item for e in fold(value, event("retract", None, "2"), 502).older["like"]] == ["a"]


def test_what_was_seen_long_ago_is_known_when_its_name_is_forgotten():
    count = users.SEEN + 500
    value = folded(clicks(count))
    assert all(holds(value.past, f"i{n}") or f"i{n}" in value.seen for n in range(count))
    assert sum(holds(value.past, f"never{n}") for n in range(2_000)) < 40
    assert "i0" not in value.seen


def test_items_gone_to_stand_with_their_search():
    events = [
        event("click", "before", "0"),
        event("search", event_id="1", query="red shoes"),
        event("click", "a", "2", minutes=1),
        event("like", "a", "3", minutes=2),
        event("dislike", "c", "4", minutes=2),
        event("click", "b", "5", minutes=29),
        event("click", "late", "6", minutes=31),
    ]
    assert folded(events).terms[0].items == ("a", "b")
    many = [event("click", f"i{n}", f"m{n}") for n in range(20)]
    assert len(folded([events[1], *many]).terms[0].items) == users.SEARCHED


def test_a_search_is_taken_back_by_its_id():
    events = [event("search", event_id="1", query="a"), event("search", event_id="2", query="b")]
    assert [term.query for term in folded([*events, event("retract", None, "1")]).terms] == ["b"]


def test_visits_are_counted():
    assert folded([event(event_id=f"{n}", minutes=20 * n) for n in range(4)]).visits == 1
    assert folded([event(event_id=f"{n}", minutes=40 * n) for n in range(4)]).visits == 4


def test_an_entry_keeps_where_it_came_from_and_what_it_belongs_to():
    fields = {"recommendation_id": "r", "position": 3, "context": {"country": "DE", "device": 5, "page": "home"}}
    entry = folded([event("cart", **fields, properties={"basket_id": "b", "scroll": 2.0})]).recent[0]
    assert (entry.position, entry.context, entry.scroll) == (3, ("country:DE",), 1.0)
    assert len(entry.group) == 8
    plain = folded([event(position=3)]).recent[0]
    assert (plain.position, plain.context, plain.group, plain.scroll) == (None, (), b"", None)
    session = folded([event("cart")]).recent[0]
    assert session.group == session.session
