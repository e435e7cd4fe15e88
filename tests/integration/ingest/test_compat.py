"""Segment's and Snowplow's calls over HTTP: the same log, checks, keys and answers as ``POST /v1/events``."""

from __future__ import annotations

import base64
import os
import time

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.sqlite.log import SqliteLogReader, SqliteLogWriter
from ingest.config import IngestSettings
from ingest.main import create_app
from schemas.access import keys
from schemas.access.decision import AccessPolicy
from schemas.access.scopes import Scope
from schemas.access.view import AccessView
from schemas.http.access.guard import Access, Guard, Site

SEGMENT, SNOWPLOW = "/v1/compat/segment/v1/batch", "/v1/compat/snowplow/com.snowplowanalytics.snowplow/tp2"
LIKE = {"type": "track", "messageId": "m1", "userId": "ann", "event": "like", "properties": {"product_id": "a"}}
PAGE = {"type": "page", "messageId": "m2", "userId": "ann"}
KEY, READER = (
    keys.make_key(os.urandom(keys.ENTROPY_BYTES), [scope], 0.0)
    for scope in (Scope.EVENTS_WRITE, Scope.RECOMMENDATIONS_READ)
)


@pytest.fixture
async def secured(tmp_path):
    """The collector of a site with keys."""
    view = AccessView(log_id="log", keys={key.record.id: key.record for key in (KEY, READER)}, had_keys=True)
    access = Access(Guard(lambda: view, time.time, Site(AccessPolicy(loopback=True))))
    writer, reader = SqliteLogWriter(tmp_path, 4), SqliteLogReader(tmp_path)
    app = create_app(IngestSettings(data=tmp_path), writer, reader, access)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        yield client
    writer.close()
    reader.close()


async def test_each_message_of_a_batch_has_its_answer(client):
    answer = await client.post(SEGMENT, json={"batch": [LIKE, PAGE], "sentAt": "2026-11-23T10:00:00Z"})
    assert answer.status_code == 207
    taken, refused = answer.json()["results"]
    assert (taken["event_id"], taken["status"], taken["error"]) == ("m1", "accepted", None)
    assert taken["offset"]
    assert refused["status"] == "rejected"
    assert refused["error"]["type"] == "urn:freshet:problem:unmapped"
    assert "page without an item" in refused["error"]["detail"]


async def test_a_call_that_is_not_valid_names_the_field_of_freshet(client):
    answer = await client.post("/v1/compat/segment/v1/track", json={**LIKE, "properties": {}})
    assert (answer.status_code, answer.json()["field"]) == (400, "item_id")


async def test_a_payload_of_snowplow_is_on_the_log(client):
    payload = {"e": "se", "eid": "c6ef3124-b53a-4b13-a233-0088f79dcbcb", "duid": "3c1757544e39bca4", "se_ac": "like", "se_la": "a"}  # fmt: skip
    answer = await client.post(SNOWPLOW, json={"schema": "…", "data": [payload]})
    assert answer.status_code == 202
    assert answer.json()["results"][0]["event_id"] == payload["eid"]


async def test_too_many_events_and_none_are_refused(client):
    products = [{"sku": str(number)} for number in range(2_001)]
    order = {**LIKE, "event": "Order Completed", "properties": {"products": products}}
    assert (await client.post(SEGMENT, json={"batch": [order]})).status_code == 413
    assert (await client.post(SEGMENT, json={"batch": []})).status_code == 400
    assert (await client.post(SEGMENT, content=b"x", headers={"content-type": "text/csv"})).status_code == 415


async def test_the_write_key_comes_by_basic_as_segments_libraries_send_it(secured):
    async def status(name: str, password: str = "") -> int:
        encoded = base64.b64encode(f"{name}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {encoded}"}
        return (await secured.post(SEGMENT, json={"batch": [LIKE]}, headers=headers)).status_code

    assert await status(KEY.text) == 202
    assert await status(KEY.text, "password") == 401
    assert await status("frk_unknown") == 401
    assert await status(READER.text) == 403
    assert (await secured.post(SEGMENT, json={"batch": [LIKE]})).status_code == 401
    broken = await secured.post(SEGMENT, json={"batch": [LIKE]}, headers={"Authorization": "Basic ???"})
    assert broken.status_code == 401


async def test_a_message_cannot_erase_a_user(secured):
    headers = {"Authorization": f"Bearer {KEY.text}"}
    payload = {"e": "se", "uid": "ann", "se_ac": "forget", "se_la": "a"}
    answer = await secured.post(SNOWPLOW, json={"data": [payload]}, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:freshet:problem:unmapped")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from([*LIKE, "e", "uid", "dtm", "se_ac", "se_la"]) | st.text(), below, max_size=4),
)  # fmt: skip


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([SEGMENT, SNOWPLOW]), st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys([*LIKE, "e", "uid", "dtm", "ttm", "se_ac", "se_la"], JSON)), max_size=3))  # fmt: skip
async def test_any_message_is_taken_or_refused_and_never_an_error_of_ours(client, path, messages):
    answer = await client.post(path, json={"batch": messages, "data": messages})
    assert answer.status_code in {202, 207, 400}, answer.text
