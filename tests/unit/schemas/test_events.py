"""What the collector takes for an event, and what it refuses by name."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.events import ITEM_TYPES, TYPES, VALUED_TYPES, Event, accept
from schemas.log.codec import decode_event, encode_event
from schemas.values.ids import id_fault

GOOD = {"event_id": "e", "type": "click", "user_id": "ann", "item_id": "i"}
RECEIVED = datetime(2026, 11, 23, 10, tzinfo=UTC)

REFUSED = {
    "no id of a person": ({"user_id": None}, ""),
    "no type": ({"type": None}, "type"),
    "an empty type": ({"type": ""}, "type"),
    "a type in capitals": ({"type": "Click"}, "type"),
    "a type of symbols": ({"type": "click; drop"}, "type"),
    "a type too long": ({"type": "a" * 33}, "type"),
    "a type that is a number": ({"type": 3}, "type"),
    "an unknown field": ({"user": "ann"}, "user"),
    "an empty user_id": ({"user_id": ""}, "user_id"),
    "a user_id too long": ({"user_id": "x" * 129}, "user_id"),
    "a user_id that is a number": ({"user_id": 7}, "user_id"),
    "a user_id with a newline": ({"user_id": "a\nb"}, "user_id"),
    "a user_id that ends in a newline": ({"user_id": "ab\n"}, "user_id"),
    "a user_id with NUL": ({"user_id": "a\x00b"}, "user_id"),
    "a user_id with DEL": ({"user_id": "a\x7fb"}, "user_id"),
    "a user_id with a C1 control": ({"user_id": "a\x85b"}, "user_id"),
    "an item_id that is a list": ({"item_id": ["i"]}, "item_id"),
    "an event_id too long": ({"event_id": "x" * 65}, "event_id"),
    "a value that is text": ({"value": "5"}, "value"),
    "a value that is true": ({"value": True}, "value"),
    "a value that is NaN": ({"value": float("nan")}, "value"),
    "a value that is infinite": ({"value": float("-inf")}, "value"),
    "NaN in the context": ({"context": {"width": float("nan")}}, "context"),
    "a list in the context": ({"context": {"page": ["a"]}}, "context"),
    "too much context": ({"context": {str(i): i for i in range(33)}}, "context"),
    "properties that are a list": ({"properties": []}, "properties"),
    "too many properties": ({"properties": {str(i): i for i in range(65)}}, "properties"),
    "a query too long": ({"query": "x" * 513}, "query"),
    "an empty query": ({"query": ""}, "query"),
    "a position before the first": ({"position": -1}, "position"),
    "a position too far": ({"position": 10_001}, "position"),
    "a position that is text": ({"position": "1"}, "position"),
    "a position between two": ({"position": 1.5}, "position"),
    "an impression that is no list": ({"impression": "i"}, "impression"),
    "an impression of too many": ({"impression": ["i"] * 501}, "impression"),
    "an impression with an empty id": ({"impression": [""]}, "impression"),
    "a time that is no time": ({"occurred_at": "yesterday"}, "occurred_at"),
    "a time in seconds": ({"occurred_at": 1_700_000_000}, "occurred_at"),
    "a time in seconds as text": ({"occurred_at": "1700000000"}, "occurred_at"),
    "a time without its zone": ({"occurred_at": "2026-11-23T10:00:00"}, "occurred_at"),
    "a day that does not exist": ({"occurred_at": "2026-02-30T10:00:00Z"}, "occurred_at"),
    "a time before 1900": ({"occurred_at": "1899-12-31T23:59:59Z"}, "occurred_at"),
    "a time before the year 1 in UTC": ({"occurred_at": "0001-01-01T00:00:00+05:00"}, "occurred_at"),
    "a time after the year 9999 in UTC": ({"occurred_at": "9999-12-31T23:59:59-05:00"}, "occurred_at"),
    "a version to come": ({"schema_version": 2}, "schema_version"),
    "a version that never was": ({"schema_version": 0}, "schema_version"),
    "a search without a query": ({"type": "search"}, ""),
    "an impression of nothing": ({"type": "impression", "item_id": None}, ""),
    "an identify without a guest": ({"type": "identify"}, ""),
    "a retract of nothing": ({"type": "retract", "event_id": None}, ""),
}


@pytest.mark.parametrize(("change", "field"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(change, field):
    with pytest.raises(ValidationError) as refused:
        Event.model_validate({**GOOD, **change})
    assert field in {str(error["loc"][0]) if error["loc"] else "" for error in refused.value.errors()}


@pytest.mark.parametrize("kind", sorted(ITEM_TYPES - {"impression"}))
def test_what_happens_to_an_item_names_it(kind):
    with pytest.raises(ValidationError, match=f"{kind} needs an item_id"):
        Event.model_validate({"type": kind, "user_id": "ann", "value": 1.0})


@pytest.mark.parametrize("kind", sorted(VALUED_TYPES))
def test_what_is_measured_has_a_value(kind):
    with pytest.raises(ValidationError, match=f"{kind} needs a value"):
        Event.model_validate({**GOOD, "type": kind})


@pytest.mark.parametrize("body", [b"[]", b"3", b'"click"', b"null", b"{", b"\xff", b""])
def test_what_is_no_object_is_refused(body):
    with pytest.raises(ValidationError):
        Event.model_validate_json(body)


def test_a_lone_surrogate_is_refused():
    with pytest.raises(ValidationError):
        Event.model_validate_json(json.dumps({**GOOD, "user_id": "\ud800"}))


@pytest.mark.parametrize("kind", sorted(TYPES | {"wishlist"}))
@pytest.mark.parametrize("person", ["user_id", "anonymous_id", "session_id"])
def test_every_type_is_taken_from_every_kind_of_person(kind, person):
    fields = {"event_id": "e", "item_id": "i", "value": 1.0, "query": "q"}
    both = {"user_id": "ann", "anonymous_id": "guest"} if kind == "identify" else {}
    assert Event.model_validate({"type": kind, person: "p", **fields, **both}).type == kind


def test_ids_may_hold_slashes_spaces_and_any_script():
    assert Event.model_validate({**GOOD, "user_id": "a/b c", "item_id": "鍵/ключ"}).item_id == "鍵/ключ"


def test_times_are_kept_in_utc_and_a_missing_one_is_the_time_of_receipt():
    early = Event.model_validate({**GOOD, "occurred_at": "1997-05-04T01:00:00+02:00"})
    assert accept(early, "e", RECEIVED).occurred_at == datetime(1997, 5, 3, 23, tzinfo=UTC)
    assert accept(Event.model_validate(GOOD), "e", RECEIVED).occurred_at == RECEIVED


def test_the_partition_key_is_the_user_else_the_guest_else_the_session():
    people = {"user_id": "u", "anonymous_id": "a", "session_id": "s"}
    subjects = []
    while people:
        event = accept(Event.model_validate({"type": "click", "item_id": "i", **people}), "e", RECEIVED)
        subjects.append((event.partition_key, event.subject))
        people.pop(next(iter(people)))
    assert subjects == [("u", "u:u"), ("a", "a:a"), ("s", "s:s")]


ids = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=128).filter(
    lambda text: id_fault(text) is None
)
scalars = st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)


@given(
    event=st.fixed_dictionaries(
        {"type": st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True), "user_id": ids, "item_id": ids},
        optional={
            "anonymous_id": ids,
            "session_id": ids,
            "recommendation_id": ids,
            "position": st.integers(0, 10_000),
            "impression": st.lists(ids, max_size=5),
            "context": st.dictionaries(st.text(max_size=9), scalars, max_size=5),
            "properties": st.dictionaries(st.text(max_size=9), st.lists(scalars, max_size=3), max_size=5),
            "occurred_at": st.datetimes(datetime(1900, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),
        },
    )
)
def test_what_is_taken_comes_back_from_the_log_as_it_was(event):
    taken = accept(
        Event.model_validate({**event, "event_id": "e", "value": 1.0, "query": "q", "anonymous_id": "g"}), "e", RECEIVED
    )
    assert decode_event(encode_event(taken)) == taken
