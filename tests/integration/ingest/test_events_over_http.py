from __future__ import annotations

import gzip
import json

import pytest

from schemas.errors import LogBusy
from schemas.log.codec import decode_event
from schemas.log.records import OffsetToken

VIEW = {"type": "view", "user_id": "ann", "item_id": "portal-2"}
JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}


async def post(client, content, **headers):
    return await client.post("/v1/events", content=content, headers={**JSON, **headers})


async def test_an_accepted_event_stands_on_the_log_where_its_token_says(client, records):
    answer = await client.post("/v1/events", json=VIEW)
    assert answer.status_code == 202
    (result,) = answer.json()["results"]
    (record,) = records("events")
    assert result == {"event_id": result["event_id"], "status": "accepted", "offset": result["offset"], "error": None}
    assert OffsetToken.parse(result["offset"]) == (record.partition, record.offset)
    event = decode_event(record.value)
    assert (record.key, event.event_id, event.type, event.item_id) == (b"ann", result["event_id"], "view", "portal-2")


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (json.dumps([VIEW, {**VIEW, "user_id": "bo"}]).encode(), JSON),
        ((json.dumps(VIEW) + "\n\r\n" + json.dumps({**VIEW, "user_id": "bo"})).encode(), NDJSON),
        (gzip.compress(json.dumps([VIEW, {**VIEW, "user_id": "bo"}]).encode()), {**JSON, "content-encoding": "gzip"}),
        (
            b"\xef\xbb\xbf" + json.dumps([VIEW, {**VIEW, "user_id": "bo"}]).encode(),
            {"content-type": "application/json; charset=UTF-8"},
        ),
        (
            json.dumps([VIEW, {**VIEW, "user_id": "bo"}]).encode(),
            {"content-type": "Application/JSON; v=1;charset = 'utf-8' ;"},
        ),
    ],
    ids=["array", "ndjson", "gzip", "byte order mark", "parameters of the content type"],
)
async def test_arrays_lines_and_gzip_are_taken_in_order(client, records, content, headers):
    answer = await client.post("/v1/events", content=content, headers=headers)
    assert answer.status_code == 202
    offsets = [result["offset"] for result in answer.json()["results"]]
    by_key = {record.key: f"{record.partition}:{record.offset}" for record in records("events")}
    assert offsets == [by_key[b"ann"], by_key[b"bo"]]


async def test_good_siblings_are_kept_and_the_bad_named(client, records):
    content = json.dumps([VIEW, {**VIEW, "value": float("nan")}, 5, {**VIEW, "type": "vew", "event_id": "e9"}]).encode()
    answer = await post(client, content)
    assert answer.status_code == 207
    first, nan, five, vew = answer.json()["results"]
    assert first["status"] == "accepted"
    assert (nan["status"], nan["error"]["field"], nan["error"]["index"]) == ("rejected", "value", 1)
    assert (five["event_id"], five["error"]["index"]) == (None, 2)
    assert (vew["event_id"], vew["error"]["field"], vew["offset"]) == ("e9", "type", None)
    assert "purchase" in vew["error"]["detail"]
    assert len(records("events")) == 1


async def test_a_broken_line_costs_only_itself(client):
    content = json.dumps(VIEW).encode() + b'\n{"type": \n\xff\n' + json.dumps(VIEW).encode()
    answer = await client.post("/v1/events", content=content, headers=NDJSON)
    assert answer.status_code == 207
    assert [result["status"] for result in answer.json()["results"]] == ["accepted", "rejected", "rejected", "accepted"]


async def test_when_none_is_valid_the_answer_is_a_problem_with_every_result(client, records):
    answer = await client.post("/v1/events", json=[{**VIEW, "user_id": None}, {**VIEW, "type": 3}])
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert (problem["status"], problem["field"], problem["index"]) == (400, "user_id", 0)
    assert [result["error"]["field"] for result in problem["results"]] == ["user_id", "type"]
    assert not records("events")


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"  ", b"null", b"[]", b"5", b'"x"', b"true", b"{", b"[1", b'{"a":}', b"\xff\xfe", b"[null]"),
        *(b"[" * 9_000, b"1" * 9_000, b"[" * 9_000 + b"]" * 9_000),
        b'[{"type":"view","user_id":"a","item_id":"b","value":1e999}]',
        b'{"type":"view","user_id":"a\\u0000","item_id":"b"}',
        b'{"type":"view","user_id":"\\ud800","item_id":"b"}',
    ],
)
async def test_what_holds_no_event_is_a_bad_request(client, records, content):
    answer = await post(client, content)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["detail"]
    assert not records("events")


async def test_of_a_key_said_twice_the_last_counts(client, records):
    await post(client, b'{"type":"view","user_id":"a","user_id":"b","item_id":"i"}')
    assert [record.key for record in records("events")] == [b"b"]


@pytest.mark.parametrize(
    "content",
    [b" " * 1_048_577, gzip.compress(b" " * 5_000_000), json.dumps([VIEW] * 2_001).encode()],
    ids=["bytes", "unpacked bytes", "events"],
)
async def test_too_much_is_413(client, records, content):
    packed = {"content-encoding": "gzip"} if content[:2] == b"\x1f\x8b" else {}
    assert (await post(client, content, **packed)).status_code == 413
    assert not records("events")


async def test_too_many_lines_are_413(client):
    assert (await client.post("/v1/events", content=b"1\n" * 2_001, headers=NDJSON)).status_code == 413


async def test_a_body_without_a_length_is_bounded_too(client):
    async def endless():
        while True:
            yield b" " * 65_536

    assert (await post(client, endless())).status_code == 413


async def test_the_largest_allowed_batch_is_taken(client):
    answer = await client.post("/v1/events", json=[{**VIEW, "event_id": str(n)} for n in range(2_000)])
    assert answer.status_code == 202
    assert [result["event_id"] for result in answer.json()["results"]] == [str(n) for n in range(2_000)]


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-encoding": "br"},
        {"content-encoding": "gzip, gzip"},
    ],
)
async def test_other_types_and_encodings_are_415(client, headers):
    answer = await post(client, json.dumps(VIEW).encode(), **headers)
    assert answer.status_code == 415
    assert answer.json()["title"]


async def test_gzip_that_is_cut_off_is_a_bad_request(client):
    packed = gzip.compress(json.dumps([VIEW] * 50).encode())
    for content in (packed[:-4], packed[:20], b"{}"):
        answer = await post(client, content, **{"content-encoding": "gzip"})
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:freshet:problem:gzip")


async def test_a_busy_log_is_503_with_the_time_to_wait_and_the_ids_to_send_again(client, log, records):
    log.error = LogBusy("20000 entries wait for the log already")
    answer = await client.post("/v1/events", json=[VIEW, VIEW])
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    problem = answer.json()
    assert "wait for the log" in problem["detail"]
    assert all(result["event_id"] and result["status"] == "rejected" for result in problem["results"])
    log.error = None
    assert (await client.post("/v1/events", json=VIEW)).status_code == 202


async def test_a_log_that_never_confirms_is_503_in_time(app_with, connect, log):
    log.silent = True
    async with connect(app_with(append_seconds=0.05, retry_seconds=7)) as client:
        answer = await client.post("/v1/events", json=VIEW)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


async def test_events_that_the_log_lost_are_named_beside_those_it_has(client, log, records):
    log.keys = {b"bo"}
    answer = await client.post("/v1/events", json=[VIEW, {**VIEW, "user_id": "bo"}, {**VIEW, "type": 0}])
    assert answer.status_code == 207
    ann, bo, invalid = answer.json()["results"]
    assert ann["offset"]
    assert (bo["status"], bo["error"]["type"], bo["error"]["index"]) == (
        "rejected",
        "urn:freshet:problem:unavailable",
        1,
    )
    assert invalid["error"]["field"] == "type"
    assert [record.key for record in records("events")] == [b"ann"]


async def test_a_client_past_its_rate_is_told_when_to_come_back(app_with, connect):
    async with connect(app_with(rate_limit=1, rate_burst=2)) as client:
        statuses = [(await client.post("/v1/events", json=VIEW)).status_code for _ in range(3)]
        answer = await client.post("/v1/events", json=VIEW)
    assert statuses == [202, 202, 429]
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_sites_own_types_are_taken(app_with, connect):
    async with connect(app_with(event_types="listen, skip")) as client:
        assert (await client.post("/v1/events", json={**VIEW, "type": "skip"})).status_code == 202


async def test_a_body_of_too_many_objects_is_refused_before_it_is_parsed(client, records):
    nested = b"[" + b'{"a":{"b":{"c":[1]}}},' * 40_000 + b"1]"
    answer = await post(client, nested)
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:freshet:problem:too-many")
    answer = await client.post("/v1/events", content=json.dumps(VIEW).encode() + b"\n" + nested, headers=NDJSON)
    assert [result["status"] for result in answer.json()["results"]] == ["accepted", "rejected"]
    assert len(records("events")) == 1


async def test_text_full_of_brackets_is_taken(client):
    answer = await post(client, json.dumps({**VIEW, "properties": {"code": "{[" * 60_000}}).encode())
    assert answer.status_code == 202


async def test_blank_lines_are_no_events(client):
    content = b"\n\n \n" + json.dumps(VIEW).encode() + b"\n" * 900_000 + json.dumps(VIEW).encode() + b"\r\n \n"
    answer = await client.post("/v1/events", content=content, headers=NDJSON)
    assert [result["status"] for result in answer.json()["results"]] == ["accepted", "accepted"]


async def test_a_path_that_is_not_utf8_changes_nothing(client, records):
    for method, path in (("PUT", "/v1/items/caf%E9"), ("DELETE", "/v1/items/caf%EA"), ("PATCH", "/v1/users/Ren%E8")):
        answer = await client.request(method, path, json={})
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert records("items") == records("users") == []
