"""Messages in the form of the public documentation of Segment and Snowplow, and the events that they become."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.compat import segment, snowplow
from ingest.compat.mapping import Unmapped, part_id

TRACK = {
    "anonymousId": "23adfd82-aa0f-45a7-a756-24f2a7a4c895",
    "context": {"locale": "en-US", "page": {"path": "/academy/", "title": "Analytics Academy"}, "ip": "108.0.78.21"},
    "event": "Product Viewed",
    "messageId": "ajs-f8ca1e4de5024d9430b3928bd8ac6b96",
    "properties": {"product_id": "507f1f77bcf86cd799439011", "sku": "G-32", "name": "Monopoly", "price": 18.99},
    "timestamp": "2015-12-12T19:11:01.249Z",
    "type": "track",
    "userId": "AiUGstSDIg",
}
ORDER = {
    "type": "track",
    "messageId": "m-1",
    "userId": "ann",
    "event": "Order Completed",
    "properties": {"order_id": "50314b8e", "products": [{"product_id": "a", "price": 19}, {"sku": "b"}]},
}
PRODUCT = "iglu:com.snowplowanalytics.snowplow.ecommerce/product/jsonschema/1-0-0"
ACTION = "iglu:com.snowplowanalytics.snowplow.ecommerce/snowplow_ecommerce_action/jsonschema/1-0-2"
PAYLOAD = {
    "e": "se",
    "eid": "c6ef3124-b53a-4b13-a233-0088f79dcbcb",
    "uid": "jon.doe@email.com",
    "duid": "3c1757544e39bca4",
    "sid": "9c65e7f3-8e8e-470d-b243-910b5b300da0",
    "dtm": "1361553733313",
    "p": "web",
    "lang": "en-US",
    "url": "http://example.com/item",
    "se_ca": "ecomm",
    "se_ac": "like",
    "se_la": "pbz00123",
}


def described(schema, data):
    inner = {"schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"}
    return json.dumps(inner | {"data": {"schema": schema, "data": data}})


def entities(*ids):
    return json.dumps({"data": [{"schema": PRODUCT, "data": {"id": id_, "price": 1}} for id_ in ids]})


def of_snowplow(**payload):
    return snowplow.events_of("tp2", {"schema": "…", "data": [payload]})


def test_a_product_view_of_segment_becomes_a_view_with_its_fields():
    assert segment.events_of("track", TRACK) == [
        {
            "event_id": "ajs-f8ca1e4de5024d9430b3928bd8ac6b96",
            "type": "view",
            "user_id": "AiUGstSDIg",
            "anonymous_id": "23adfd82-aa0f-45a7-a756-24f2a7a4c895",
            "occurred_at": "2015-12-12T19:11:01.249Z",
            "item_id": "507f1f77bcf86cd799439011",
            "context": {"page": "/academy/", "locale": "en-US"},
        }
    ]


def test_an_order_of_segment_becomes_a_purchase_of_each_product_with_an_id_of_its_own():
    made = segment.events_of("batch", {"batch": [ORDER]})
    assert [(each["type"], each["item_id"], each["event_id"]) for each in made] == [
        ("purchase", "a", "m-1"),
        ("purchase", "b", "m-1#1"),
    ]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"type": "track", "event": "Products Searched", "properties": {"query": "chess"}}, {"type": "search", "query": "chess"}),
        ({"type": "track", "event": "Product Reviewed", "properties": {"sku": "a", "rating": 4}}, {"type": "rating", "value": 4}),
        ({"type": "track", "event": "like", "properties": {"item_id": "a"}}, {"type": "like", "item_id": "a"}),
        ({"type": "page", "properties": {"product_id": "a"}}, {"type": "view", "item_id": "a"}),
        ({"type": "identify", "userId": "u", "anonymousId": "g"}, {"type": "identify", "user_id": "u", "anonymous_id": "g"}),
        ({"type": "alias", "userId": "u", "previousId": "g"}, {"type": "identify", "user_id": "u", "anonymous_id": "g"}),
        (
            {"type": "track", "event": "Product List Viewed", "properties": {"products": [{"sku": "a"}, {"sku": "b"}]}},
            {"type": "impression", "impression": ["a", "b"]},
        ),
    ],
)  # fmt: skip
def test_each_call_of_segment_becomes_its_event(message, expected):
    (made,) = segment.events_of("batch", {"batch": [message]})
    assert expected.items() <= made.items()


@pytest.mark.parametrize("call", ["t", "track", "i", "identify", "p", "page"])
def test_a_single_call_says_its_type_by_its_address(call):
    body = {"userId": "u", "anonymousId": "g", "event": "like", "properties": {"sku": "a"}}
    (made,) = segment.events_of(call, body)
    assert made["type"] == {"t": "like", "i": "identify", "p": "view"}[call[0]]


@pytest.mark.parametrize(
    "message", [{"type": "group"}, {"type": "page"}, {"type": "track", "event": "Signed Up"}, {"type": "track", "event": "forget"}, 7]
)  # fmt: skip
def test_what_stands_for_no_event_says_so(message):
    (made,) = segment.events_of("batch", {"batch": [message]})
    assert isinstance(made, Unmapped)


def test_a_structured_event_of_snowplow_becomes_an_event_with_its_fields():
    assert of_snowplow(**PAYLOAD) == [
        {
            "event_id": "c6ef3124-b53a-4b13-a233-0088f79dcbcb",
            "type": "like",
            "user_id": "jon.doe@email.com",
            "anonymous_id": "3c1757544e39bca4",
            "session_id": "9c65e7f3-8e8e-470d-b243-910b5b300da0",
            "occurred_at": "2013-02-22T17:22:13.313000+00:00",
            "item_id": "pbz00123",
            "context": {"page": "http://example.com/item", "locale": "en-US", "device": "web"},
        }
    ]


def test_actions_of_snowplow_are_of_their_product_entities_plain_or_in_base64():
    bought = of_snowplow(e="ue", eid="x", ue_pr=described(ACTION, {"type": "transaction"}), co=entities("a", "b"))
    assert [(each["type"], each["item_id"], each["event_id"]) for each in bought] == [
        ("purchase", "a", "x"),
        ("purchase", "b", "x#1"),
    ]
    encoded = base64.urlsafe_b64encode(described(ACTION, {"type": "list_view"}).encode()).decode().rstrip("=")
    (shown,) = of_snowplow(e="ue", ue_px=encoded, co=entities("a", "b"))
    assert (shown["type"], shown["impression"]) == ("impression", ["a", "b"])


def test_searches_baskets_pages_and_transactions_of_snowplow():
    search = described("iglu:com.snowplowanalytics.snowplow/site_search/jsonschema/1-0-0", {"terms": ["red", "chess"]})
    cart = described("iglu:com.snowplowanalytics.snowplow/add_to_cart/jsonschema/1-0-0", {"sku": "a"})
    assert of_snowplow(e="ue", ue_pr=search)[0]["query"] == "red chess"
    assert of_snowplow(e="ue", ue_pr=cart)[0]["item_id"] == "a"
    assert of_snowplow(e="pv", co=entities("a"))[0]["type"] == "view"
    assert of_snowplow(e="ti", ti_sk="a")[0]["type"] == "purchase"
    for kind in ("pp", "pv", "tr", "ue"):
        assert isinstance(of_snowplow(e=kind)[0], Unmapped)


@given(st.text(min_size=1, max_size=200), st.integers(0, 500))
def test_ids_fit_and_are_the_same_again(message_id, number):
    assert len(part_id(message_id, number)) <= 64
    assert part_id(message_id, number) == part_id(message_id, number)
    assert part_id(message_id, number) != part_id(message_id, number + 1)


KEYS = st.sampled_from([*PAYLOAD, *TRACK, "co", "ue_pr", "ue_px", "ti_sk", "products", "batch", "data"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["ue", "pv", "ti", "track", "page", "like"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=4),
)  # fmt: skip


@given(
    st.sampled_from([segment.events_of, snowplow.events_of]),
    st.lists(st.dictionaries(KEYS, VALUES, max_size=6) | VALUES, max_size=4),
)
def test_any_message_becomes_events_or_says_why_not(events_of, messages):
    for made in events_of("track", {"batch": messages, "data": messages}):
        assert isinstance(made, Unmapped) or isinstance(made["type"], str)
