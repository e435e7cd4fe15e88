from __future__ import annotations

import math

import msgspec
import pytest

from ingest.validation import validate
from ingest.validation.validate import Rejection, policy, validate_event
from schemas.catalogue import decode_upsert
from schemas.errors import ConfigurationInvalid
from schemas.log.codec import decode_event

VIEW = {"type": "view", "user_id": "ann", "item_id": "portal-2"}


def nested(levels: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.fixture
def take(noon):
    return lambda raw, allowed=None: validate_event(raw, noon, lambda: "made-here", allowed or policy())


def test_an_event_becomes_an_entry_keyed_by_its_user(take, noon):
    taken = take({**VIEW, "anonymous_id": "guest", "occurred_at": "2026-11-23T10:00:00+01:00"})
    event = decode_event(taken.entry.value)
    assert taken.entry.key == b"ann"
    assert (event.event_id, event.received_at) == ("made-here", noon)
    assert event.occurred_at.isoformat() == "2026-11-23T09:00:00+00:00"


def test_without_a_user_the_key_is_the_guest_and_then_the_session(take):
    guest = {"type": "view", "item_id": "i", "anonymous_id": "g", "session_id": "s"}
    assert take(guest).entry.key == b"g"
    assert take({**guest, "anonymous_id": None}).entry.key == b"s"


def test_the_clients_event_id_is_kept_also_for_its_retraction(take):
    assert take({**VIEW, "event_id": "e1"}).id == "e1"
    assert take({"type": "retract", "user_id": "ann", "event_id": "e1"}).type == "retract"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "vew"}, "type"),
        ({"type": None}, "type"),
        ({"type": 3}, "type"),
        ({"user_id": None}, "user_id"),
        ({"user_id": 7}, "user_id"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": "a\x00b"}, "user_id"),
        ({"user_id": "a\x9fb"}, "user_id"),
        ({"user_id": "x" * 129}, "user_id"),
        ({"user_id": "\ud800"}, "user_id"),
        ({"event_id": "x" * 65}, "event_id"),
        ({"item_id": None}, "item_id"),
        ({"value": math.nan}, "value"),
        ({"value": math.inf}, "value"),
        ({"value": True}, "value"),
        ({"value": "4"}, "value"),
        ({"value": 10**400}, "value"),
        ({"type": "rating"}, "value"),
        ({"type": "search"}, "query"),
        ({"type": "search", "query": "\udfff"}, "query"),
        ({"type": "identify"}, "anonymous_id"),
        ({"type": "retract"}, "event_id"),
        ({"position": -1}, "position"),
        ({"position": False}, "position"),
        ({"position": 10**30}, "position"),
        ({"occurred_at": "2026-11-23T12:05:01Z"}, "occurred_at"),
        ({"occurred_at": "9999-12-31T23:59:59-23:59"}, "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+23:59"}, "occurred_at"),
        ({"occurred_at": "2026-11-23T10:00:00"}, "occurred_at"),
        ({"occurred_at": "1700000000"}, "occurred_at"),
        ({"occurred_at": 1_700_000_000}, "occurred_at"),
        ({"impression": ["a", 5]}, "impression.1"),
        ({"context": {"device": ["phone"]}}, "context.device"),
        ({"context": {"share": math.nan}}, "context.share"),
        ({"context": []}, "context"),
        ({"properties": {"a": {"b": [1, math.inf]}}}, "properties.a.b.1"),
        ({"properties": {"a": 2**63}}, "properties.a"),
        ({"properties": {"a": "\ud800"}}, "properties.a"),
        ({"properties": {"a": {"\ud800": 1}}}, "properties.a"),
        ({"properties": nested(9)}, "properties" + ".a" * 8),
        ({"colour": "red"}, "colour"),
        ({"\ud800": 1}, None),
        ({"schema_version": 2}, "schema_version"),
    ],
)
def test_what_is_wrong_is_refused_by_the_name_of_its_field(take, change, field):
    with pytest.raises(Rejection) as refused:
        take({**VIEW, **change})
    assert refused.value.field == field
    assert refused.value.detail
    msgspec.json.encode(str(refused.value))


@pytest.mark.parametrize("raw", [None, 5, "view", [VIEW], True])
def test_what_is_no_object_is_refused(take, raw):
    with pytest.raises(Rejection, match="must be a JSON object"):
        take(raw)


def test_an_unknown_type_is_told_which_ones_there_are_and_a_site_can_add_its_own(take):
    with pytest.raises(Rejection, match="bookmark, cart, click"):
        take({**VIEW, "type": "listen"})
    assert take({**VIEW, "type": "listen"}, policy(["listen"])).type == "listen"
    with pytest.raises(ConfigurationInvalid, match="Listen!"):
        policy(["Listen!"])


def test_any_past_time_is_taken_and_five_minutes_ahead(take):
    assert take({**VIEW, "occurred_at": "1997-09-20T03:05:10Z"})
    assert take({**VIEW, "occurred_at": "2026-11-23T12:05:00Z"})


def test_context_and_properties_are_generalized(take):
    context = {"ip": "203.0.113.77", "lat": 59.33258, "postcode": "118 20", "country": "SE"}
    properties = {"email": "a@b.c", "name": "Summer sale"}
    event = decode_event(take({**VIEW, "context": context, "properties": properties}).entry.value)
    assert event.context == {"ip_network": "203.0.113.0/24", "lat": 59.3, "postcode_area": "118", "country": "SE"}
    assert event.properties == {"name": "Summer sale"}


def test_a_record_that_is_too_large_for_the_log_is_refused(take):
    with pytest.raises(Rejection, match="at most 262,144"):
        take({**VIEW, "properties": {"text": "x" * 262_144}})


def test_an_items_fields_stand_on_the_log_as_they_were_said(noon):
    fields = {"title": "Portal 2", "price": 9.99, "published_at": "2011-04-19T00:00:00Z", "description": None}
    upsert = decode_upsert(validate.put_item("a/b", fields, noon).entry.value)
    said = {"title": "Portal 2", "price": 9.99, "published_at": "2011-04-19T00:00:00Z"}
    assert (upsert.id, upsert.op, upsert.fields) == ("a/b", "put", said)


def test_a_patch_keeps_its_nulls_and_nothing_that_was_not_said(noon):
    fields = {"price": None, "attributes": {"developer": None}}
    upsert = decode_upsert(validate.patch_item("i", fields, noon).entry.value)
    assert (upsert.op, upsert.fields) == ("patch", fields)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"price": -1}, "price"),
        ({"price": "9.99"}, "price"),
        ({"price": True}, "price"),
        ({"hidden": "yes"}, "hidden"),
        ({"tags": "retro"}, "tags"),
        ({"tags": ["ok", ""]}, "tags.1"),
        ({"published_at": 2011}, "published_at"),
        ({"attributes": {"a": math.nan}}, "attributes.a"),
        ({"attributes": nested(9)}, "attributes" + ".a" * 8),
        ({"item_id": "other"}, "item_id"),
        ({"url": "shop.example/portal-2"}, "url"),
        ({"image_url": "javascript:alert(1)"}, "image_url"),
        ({"image_url": "https://shop.example/" + "x" * 2_048}, "image_url"),
    ],
)
def test_items_and_patches_are_held_to_the_same_fields(noon, fields, field):
    for take in (validate.put_item, validate.patch_item):
        with pytest.raises(Rejection) as refused:
            take("i", fields, noon)
        assert refused.value.field == field


def test_a_users_attributes_are_generalized_before_the_log(noon):
    attributes = {"age": 34, "email": "a@b.c", "home": {"zip_code": "85711"}, "plan": "gold"}
    upsert = decode_upsert(validate.put_user("ann", {"attributes": attributes}, noon, policy()).entry.value)
    assert upsert.fields == {"attributes": {"age_group": "25-34", "home": {"postcode_area": "857"}, "plan": "gold"}}


def test_a_patch_that_removes_an_age_removes_the_group_that_was_kept(noon):
    upsert = decode_upsert(validate.patch_user("ann", {"attributes": {"age": None}}, noon, policy()).entry.value)
    assert upsert.fields == {"attributes": {"age_group": None}}


def test_deleting_needs_an_id_that_can_be_one(noon):
    assert decode_upsert(validate.delete("i", "item_id", noon).entry.value).op == "delete"
    with pytest.raises(Rejection) as refused:
        validate.delete("", "item_id", noon)
    assert refused.value.field == "item_id"
