from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from ingest.config import IngestSettings
from schemas.errors import LogUnavailable, PortInUse

VIEW = {"type": "view", "user_id": "ann", "item_id": "portal-2"}
NAMES = st.sampled_from(
    [*VIEW, "event_id", "value", "occurred_at", "context", "properties", "impression", "attributes"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["view", "2026-11-23T10:00:00Z"])
)
THINGS = st.recursive(
    SCALARS, lambda below: st.lists(below, max_size=4) | st.dictionaries(NAMES | st.text(), below, max_size=6)
)
EVENTS = st.builds(lambda change: {**VIEW, **change}, st.dictionaries(NAMES, THINGS, max_size=3))
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = {"content-type": "application/json"}


def surrogates() -> st.SearchStrategy[str]:
    return st.text(st.characters(categories=["Cs", "Cc", "Ll"]), max_size=5)


@FUZZ
@given(st.lists(EVENTS | THINGS | surrogates(), max_size=4) | THINGS)
async def test_any_json_is_taken_or_refused_and_never_an_error_of_ours(client, thing):
    content = json.dumps(thing).encode()
    for method, path in (
        ("POST", "/v1/events"),
        ("POST", "/v1/items"),
        ("PUT", "/v1/users/u"),
        ("PATCH", "/v1/items/i"),
    ):
        answer = await client.request(method, path, content=content, headers=JSON)
        assert answer.status_code in {202, 207, 400}, (path, answer.text)
        answer.json()


@FUZZ
@given(
    st.binary(max_size=200),
    st.sampled_from([*("application/json", "application/x-ndjson", "text/plain", "", ";", "é")]),
)
async def test_any_bytes_under_any_content_type_are_refused_politely(client, content, media_type):
    headers = {"content-type": media_type.encode()}
    answer = await client.post("/v1/events", content=content, headers=headers)
    assert 400 <= answer.status_code < 500


@FUZZ
# A path that is only dots is resolved by the client itself.
@given(st.text(max_size=140).filter(lambda text: text not in {".", ".."}))
async def test_any_path_is_an_id_or_refused(client, id_):
    from urllib.parse import quote

    answer = await client.put(f"/v1/items/{quote(id_, safe='', errors='replace')}", json={})
    assert answer.status_code in {202, 400, 404}
    if answer.status_code == 202:
        assert answer.json()["item_id"] == id_


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_an_id_with_a_line_end_is_refused_and_not_taken_for_the_one_without(client, method):
    answer = await client.request(method, "/v1/items/7%0A", json={})
    assert answer.status_code == 400
    assert "control character" in answer.json()["detail"]


async def test_health_says_whether_the_log_answers(app_with, connect, monkeypatch):
    from adapters.sqlite.log import SqliteLogReader

    async with connect(app_with()) as client:
        assert (await client.get("/health/live")).json() == {"status": "live"}
        assert (await client.get("/health/ready")).status_code == 200

        def away(self, topic, partition):
            raise LogUnavailable("the disk is gone")

        monkeypatch.setattr(SqliteLogReader, "bounds", away)
        answer = await client.get("/health/ready")
        assert (answer.status_code, answer.json()["missing"]) == (503, ["log: the disk is gone"])
        assert (await client.get("/health/live")).status_code == 200


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_metrics_count_what_became_of_each_event(client):
    def counted() -> list[float]:
        return [
            value("freshet_ingest_events_total", outcome="accepted", type="view"),
            value("freshet_ingest_events_total", outcome="rejected", type="unknown"),
            value("freshet_ingest_rejected_total", reason="unknown-type"),
            value("freshet_ingest_requests_total", route="events", status="207"),
        ]

    before, waiting = counted(), value("freshet_ingest_queue_depth")
    await client.post("/v1/events", json=[VIEW, VIEW, {**VIEW, "type": "x" * 30}])
    assert [after - was for after, was in zip(counted(), before, strict=True)] == [2, 1, 1, 1]
    assert value("freshet_ingest_queue_depth") == waiting  # another site in this process may wait for its log
    assert "freshet_ingest_append_seconds_bucket" in (await client.get("/metrics")).text


async def test_what_is_not_there_is_a_problem_too(client):
    for method, path, status in (("GET", "/v1/nowhere", 404), ("GET", "/v1/events", 405)):
        answer = await client.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_the_documentation_shows_bodies_with_examples(app_with):
    paths = app_with().openapi()["paths"]
    body = paths["/v1/events"]["post"]["requestBody"]["content"]
    assert "application/x-ndjson" in body
    assert body["application/json"]["examples"]["a view"]["value"]["type"] == "view"
    assert "application/merge-patch+json" in paths["/v1/items/{item_id}"]["patch"]["requestBody"]["content"]
    assert paths["/v1/events"]["post"]["responses"]["202"]["content"]["application/json"]["schema"]


def test_lists_in_the_environment_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("FRESHET_EVENT_TYPES", "listen, skip,")
    assert IngestSettings().event_types == ("listen", "skip")


@pytest.mark.parametrize("name", ["FRESHET_COLLECTOR_PORT", "FRESHET_RATE_LIMIT"])
def test_settings_that_cannot_work_are_refused(monkeypatch, name):
    monkeypatch.setenv(name, "-1")
    with pytest.raises(ValueError):
        IngestSettings()


def test_a_port_that_is_taken_is_said_in_one_sentence():
    from ingest.main import listen

    with listen(IngestSettings(collector_port=0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"127.0.0.1:{port} .* set FRESHET_COLLECTOR_PORT"):
            listen(IngestSettings(collector_port=port))


async def test_a_client_that_hangs_up_in_the_middle_of_its_body_is_no_fault_and_leaves_nothing(app_with, records):
    parts = iter([{"type": "http.request", "body": b'[{"type"', "more_body": True}, {"type": "http.disconnect"}])
    sent = []

    async def receive():
        return next(parts)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/events", "raw_path": b"/v1/events", "query_string": b"",
        "headers": [(b"content-type", b"application/json")], "scheme": "http", "http_version": "1.1",
    }  # fmt: skip
    await app_with()(scope, receive, send)
    assert sent[0]["status"] == 499
    assert records("events") == []
