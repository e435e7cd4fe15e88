"""Which requests the audit log keeps, and what it says of them."""

from __future__ import annotations

import json

import pytest
from fastapi import FastAPI, Request, Response
from starlette.testclient import TestClient

from schemas.access import scopes
from schemas.access.audit import user_label
from schemas.access.principal import Principal
from schemas.access.scopes import needs
from schemas.http.access.audit import AuditMiddleware
from schemas.http.access.callers import set_principal
from schemas.http.access.rules import RouteRules

NOW = 1_000.0
KEY = Principal("frk_1", "key", frozenset({scopes.Scope.ADMIN}))


@pytest.fixture
def audited() -> list:
    return []


@pytest.fixture
def client(audited) -> TestClient:
    app = FastAPI()

    async def answer(request: Request) -> Response:
        await request.body()
        status = int(request.headers.get("X-Status", "202"))
        return Response(json.dumps({"item_id": "1", "offset": "3:7"}), status, media_type="application/json")

    for path, method, rule in (
        ("/v1/items/{item_id:path}", "PUT", scopes.ITEM_WRITES),
        ("/v1/items", "POST", scopes.ITEM_WRITES),
        ("/v1/items/{item_id:path}", "GET", scopes.ITEM_READS),
        ("/v1/users/{user_id:path}", "PATCH", scopes.USER_WRITES),
        ("/v1/events", "POST", scopes.EVENTS),
        ("/v1/sessions/recommendations", "POST", scopes.READS),
        ("/v1/undeclared", "POST", None),
    ):
        app.add_api_route(path, needs(rule)(_copy(answer)) if rule else answer, methods=[method])

    async def keep(record) -> None:
        audited.append(record)

    inner = AuditMiddleware(app, keep, RouteRules(app.routes), lambda: NOW)

    async def with_principal(scope, receive, send) -> None:
        set_principal(scope, KEY)
        await inner(scope, receive, send)

    return TestClient(with_principal)


def _copy(endpoint):
    async def copied(request: Request) -> Response:
        return await endpoint(request)

    return copied


def test_a_change_of_an_item_is_kept_with_who_what_and_where_it_stands(client, audited):
    client.put("/v1/items/a%2Fb", json={"title": "Zelda"})
    [record] = audited
    assert (record.actor_kind, record.actor, record.at) == ("key", "frk_1", NOW)
    assert (record.action, record.target) == ("PUT /v1/items/{item_id}", "item a/b")
    assert (record.after, record.offset) == ({"title": "Zelda"}, "3:7")


def test_an_item_named_like_a_part_of_the_path_is_named_rightly(client, audited):
    client.put("/v1/items/items", json={})
    assert (audited[0].action, audited[0].target) == ("PUT /v1/items/{item_id}", "item items")


def test_nothing_of_a_user_stands_in_the_audit_log_but_the_names_of_attributes(client, audited):
    client.patch("/v1/users/anna", json={"attributes": {"city": "Bern", "age": 42}})
    [record] = audited
    assert record.target == user_label("anna")
    assert record.after == ["age", "city"]
    assert "anna" not in repr(record)
    assert "Bern" not in repr(record)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/items/1"), ("POST", "/v1/events"), ("POST", "/v1/sessions/recommendations")],
)
def test_reads_and_events_are_not_kept(client, audited, method, path):
    assert client.request(method, path).status_code == 202
    assert audited == []


@pytest.mark.parametrize("status", [400, 403, 503])
def test_a_change_that_was_refused_is_not_kept(client, audited, status):
    client.put("/v1/items/1", json={}, headers={"X-Status": str(status)})
    assert audited == []


def test_a_change_by_a_route_without_a_rule_is_kept(client, audited):
    client.post("/v1/undeclared", json={"a": 1})
    assert audited[0].action == "POST /v1/undeclared"


def test_of_a_large_change_the_size_is_kept(client, audited):
    body = json.dumps([{"item_id": str(number)} for number in range(5_000)])
    client.post("/v1/items", content=body)
    assert audited[0].after == {"bytes": len(body)}


def test_what_is_no_json_is_kept_as_size_and_digest(client, audited):
    client.put("/v1/items/1", content=b"\xff\xfe")
    assert audited[0].after["bytes"] == 2
