"""Partitions, tokens, and what is read from the log: an answer or a named refusal, never anything else."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.catalogue import MAX_DEPTH, Upsert, decode_upsert, encode_upsert
from schemas.errors import InvalidToken, Undecodable
from schemas.log.codec import decode_event
from schemas.log.dead_letters import decode_dead_letter, encode_dead_letter, refuse
from schemas.log.records import OffsetToken, Record
from schemas.log.topics import murmur2, partition_of, topic_name

EVENT = {
    "event_id": "e",
    "type": "click",
    "user_id": "ann",
    "item_id": "i",
    "occurred_at": "2026-11-23T10:00:00Z",
    "received_at": "2026-11-23T10:00:00Z",
}
UPSERT = {"id": "i", "op": "put", "fields": {}, "received_at": "2026-11-23T10:00:00Z"}
TAKEN_MS = int(datetime(2026, 11, 23, 10, tzinfo=UTC).timestamp() * 1_000)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


# org.apache.kafka.common.utils.UtilsTest.testMurmur2
@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(key, signed):
    assert murmur2(key) == signed & 0xFFFFFFFF
    assert partition_of(key, 8) == (signed & 0x7FFFFFFF) % 8


@given(st.binary(max_size=64), st.integers(1, 64))
def test_every_key_has_one_partition(key, partitions):
    assert 0 <= partition_of(key, partitions) < partitions


def test_topics_carry_their_sites_prefix():
    assert topic_name("events") == "freshet.events"
    assert topic_name("events", "shop.") == "shop.events"


@given(st.integers(0, 999_999), st.integers(0, 10**18 - 1))
def test_tokens_are_read_as_they_are_written(partition, offset):
    assert OffsetToken.parse(str(OffsetToken(partition, offset))) == (partition, offset)


@pytest.mark.parametrize(
    "text", ["", ":", "17", "17:", ":4", "a:b", "1:-1", "-1:1", "1:2:3", " 1:2", "1.0:2", "²:1", "١:1", "1:" + "9" * 19]
)
def test_what_is_no_token_is_refused_by_name(text):
    with pytest.raises(InvalidToken, match="is not an offset token"):
        OffsetToken.parse(text)


@given(st.text())
def test_any_text_is_a_token_or_refused(text):
    try:
        token = OffsetToken.parse(text)
    except InvalidToken:
        return
    assert token >= (0, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"event_id": None},
        {"event_id": ""},
        {"type": ""},
        {"type": 3},
        {"user_id": None},
        {"user_id": ""},
        {"user_id": "x" * 129},
        {"item_id": 3},
        {"value": "5"},
        {"occurred_at": "2026-11-23T10:00:00"},
        {"occurred_at": 3},
        {"occurred_at": None},
        {"received_at": None},
        {"impression": [3]},
        {"query": "x" * 513},
    ],
    ids=str,
)
def test_a_foreign_producers_mistake_is_undecodable(change):
    with pytest.raises(Undecodable, match="not an event"):
        decode_event(json.dumps({**EVENT, **change}).encode())


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        json.dumps(EVENT).encode()[:-1],
        json.dumps({**EVENT, "value": 1.0}).replace("1.0", "NaN").encode(),
        json.dumps({**EVENT, "value": 1.0}).replace("1.0", "1e999").encode(),
        json.dumps({**EVENT, "user_id": "\ud800"}).encode(),
        json.dumps({**EVENT, "properties": {"a": "here"}}).encode().replace(b'"here"', nested(100_000)),
    ],
    ids=["nothing", "a list", "no UTF-8", "cut", "NaN", "too large a number", "a lone surrogate", "nested too deep"],
)
def test_bytes_that_are_no_event_are_undecodable(value):
    with pytest.raises(Undecodable, match="not an event"):
        decode_event(value)


def logged_at(occurred: str, received: str = "2026-11-23T10:00:00Z") -> bytes:
    return json.dumps({**EVENT, "occurred_at": occurred, "received_at": received}).encode()


def test_an_event_far_ahead_of_its_receipt_is_undecodable_and_one_from_the_past_is_not():
    assert decode_event(logged_at("2026-11-23T10:05:00Z"), TAKEN_MS)
    assert decode_event(logged_at("1997-01-01T00:00:00Z"), TAKEN_MS)
    with pytest.raises(Undecodable, match="ahead of received_at"):
        decode_event(logged_at("2026-11-23T10:05:01Z"), TAKEN_MS)


def test_the_clock_of_the_log_does_not_judge_again_what_a_collector_accepted():
    hours_ahead = logged_at("2026-11-23T17:04:00Z", received="2026-11-23T17:00:00Z")
    assert decode_event(hours_ahead, TAKEN_MS)


def test_a_receipt_that_no_clock_explains_is_undecodable():
    with pytest.raises(Undecodable, match="ahead of the log's own time"):
        decode_event(logged_at("2100-01-01T00:00:00Z", received="2100-01-01T00:00:00Z"), TAKEN_MS)


def test_fields_of_a_later_version_are_passed_over():
    assert decode_event(json.dumps({**EVENT, "mood": "good", "schema_version": 2}).encode()).item_id == "i"


@given(st.binary(max_size=200) | st.recursive(st.text(), st.lists).map(lambda value: json.dumps(value).encode()))
@example(nested(100_000))
def test_any_bytes_are_a_value_or_undecodable(value):
    for decode in (decode_event, decode_upsert):
        with pytest.raises(Undecodable):
            decode(value)


@pytest.mark.parametrize(
    "change",
    [{"id": None}, {"op": "upsert"}, {"op": None}, {"fields": []}, {"received_at": "now"}, {"id": 3}],
    ids=str,
)
def test_what_is_no_upsert_is_undecodable(change):
    with pytest.raises(Undecodable, match="not an item or user"):
        decode_upsert(json.dumps({**UPSERT, **change}).encode())


def test_an_upsert_is_nested_no_deeper_than_it_can_be_written_again():
    def of_depth(depth: int) -> bytes:
        return json.dumps({**UPSERT, "fields": {"a": "here"}}).encode().replace(b'"here"', nested(depth))

    assert decode_upsert(of_depth(MAX_DEPTH - 1)).id == "i"
    with pytest.raises(Undecodable, match="nested deeper than"):
        decode_upsert(of_depth(MAX_DEPTH))


def test_an_upsert_comes_back_as_it_was():
    upsert = Upsert(
        id="i", op="patch", fields={"title": None, "tags": ["a"]}, received_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert decode_upsert(encode_upsert(upsert)) == upsert


@given(st.binary(), st.binary())
def test_a_dead_letter_keeps_the_original_bytes_and_coordinates(key, value):
    record = Record("events", 3, 4211, TAKEN_MS, key, value)
    letter = decode_dead_letter(encode_dead_letter(refuse(record, "nearline", "why", datetime(2026, 1, 1, tzinfo=UTC))))
    assert (letter.original_key(), letter.original()) == (key, value)
    assert (letter.topic, letter.partition, letter.offset, letter.reason) == ("events", 3, 4211, "why")
