"""What a key changes for the collector: erasure, beacons, and limits that count events."""

from __future__ import annotations

import json
import time

import httpx
import pytest

from adapters.sqlite.log import SqliteLogReader
from ingest.config import IngestSettings
from ingest.main import create_app
from schemas.access import keys
from schemas.access.decision import AccessPolicy
from schemas.access.scopes import Scope
from schemas.access.signing import make_user_token, signing_secret
from schemas.access.view import AccessView
from schemas.http.access.guard import Access, Guard, Site

SHOP = "https://shop.example"
SECRET = b"the secret of this site, long enough"
BROWSER = keys.make_key(b"b" * keys.ENTROPY_BYTES, [Scope.EVENTS_WRITE], 0.0, origins=[SHOP])
SENDER = keys.make_key(b"s" * keys.ENTROPY_BYTES, [Scope.EVENTS_WRITE], 0.0)
BOUND = keys.make_key(b"u" * keys.ENTROPY_BYTES, [Scope.EVENTS_WRITE], 0.0, origins=[SHOP], needs_user_token=True)
ADMIN = keys.make_key(b"a" * keys.ENTROPY_BYTES, [Scope.ADMIN], 0.0)
VIEW_OF_KEYS = AccessView(
    log_id="log", keys={key.record.id: key.record for key in (BROWSER, SENDER, BOUND, ADMIN)}, had_keys=True
)
VIEW = {"type": "view", "user_id": "ann", "item_id": "lamp"}
FORGET = {"type": "forget", "user_id": "ann"}


@pytest.fixture
def connect(log, tmp_path):
    def connect(**settings) -> httpx.AsyncClient:
        chosen = IngestSettings(stack="embedded", data=tmp_path, **settings)
        access = Access(Guard(lambda: VIEW_OF_KEYS, time.time, Site(AccessPolicy(site_secret=SECRET))))
        app = create_app(chosen, log, SqliteLogReader(tmp_path), access)
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://collector")

    return connect


def token_of(user: str) -> str:
    """The token that the site's server signs for a user."""
    secret = signing_secret(SECRET, SENDER.record.id)
    return make_user_token(secret, SENDER.record.id, user, int(time.time()) + 60)


def of_user(user: str) -> dict[str, str]:
    return {"Origin": SHOP, "Freshet-User-Token": token_of(user)}


def bearer(key: keys.NewKey) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.text}"}


async def test_only_an_admin_erases_a_user_and_siblings_are_kept(connect):
    async with connect() as client:
        mixed = await client.post("/v1/events", json=[VIEW, FORGET], headers=bearer(SENDER))
        assert mixed.status_code == 207
        assert [result["status"] for result in mixed.json()["results"]] == ["accepted", "rejected"]
        assert "admin" in mixed.json()["results"][1]["error"]["detail"]
        assert (await client.post("/v1/events", json=FORGET, headers=bearer(ADMIN))).status_code == 202
        assert (await client.delete("/v1/users/ann", headers=bearer(SENDER))).status_code == 403


@pytest.mark.parametrize("key", [BROWSER, SENDER, BOUND])
async def test_no_key_that_sends_events_forgets_anybody(connect, key):
    # A repeated member counts as its last value, and a line of NDJSON as an event.
    repeated = b'{"type": "view", "type": "forget", "user_id": "ann", "item_id": "lamp"}'
    lines = b'{"type": "forget", "anonymous_id": "guest"}\n'
    sent = [
        (json.dumps(FORGET).encode(), "application/json"),
        (json.dumps([FORGET]).encode(), "application/json"),
        (repeated, "application/json"),
        (lines, "application/x-ndjson"),
    ]
    async with connect() as client:
        for body, kind in sent:
            headers = bearer(key) | {"Origin": SHOP, "Content-Type": kind, "Freshet-User-Token": token_of("ann")}
            refused = await client.post("/v1/events", content=body, headers=headers)
            assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (400, "scope")


async def test_with_a_key_that_needs_the_users_token_an_event_names_no_user_but_that_of_the_token(connect):
    guest = {"type": "view", "anonymous_id": "guest", "item_id": "lamp"}
    identify = {"type": "identify", "anonymous_id": "guest", "user_id": "bob"}
    async with connect() as client:
        sent = [VIEW, guest, {**VIEW, "user_id": "bob"}, identify]
        mixed = await client.post("/v1/events", json=sent, headers=bearer(BOUND) | of_user("ann"))
        assert [result["status"] for result in mixed.json()["results"]] == [
            *("accepted", "accepted", "rejected", "rejected")
        ]
        assert mixed.json()["results"][2]["error"]["field"] == "user_id"
        without = await client.post("/v1/events", json=VIEW, headers=bearer(BOUND) | {"Origin": SHOP})
        assert (without.status_code, without.json()["type"].rpartition(":")[2]) == (400, "user-token")
        assert (
            await client.post("/v1/events", json=guest, headers=bearer(BOUND) | {"Origin": SHOP})
        ).status_code == 202
        beacon = {"Content-Type": "text/plain", "Origin": SHOP}
        for user, status in (("ann", 202), ("bob", 400)):
            address = f"/v1/events?key={BOUND.text}&user_token={token_of(user)}"
            assert (await client.post(address, content=json.dumps(VIEW), headers=beacon)).status_code == status


async def test_a_beacon_is_json_in_plain_text(connect):
    headers = {"Content-Type": "text/plain;charset=UTF-8", "Origin": SHOP}
    body = b'{"type": "view", "user_id": "ann", "item_id": "lamp"}'
    async with connect() as client:
        sent = await client.post(f"/v1/events?key={BROWSER.text}", content=body, headers=headers)
        assert sent.status_code == 202
        assert sent.headers["access-control-allow-origin"] == SHOP
        refused = await client.post("/v1/events", content=body, headers=headers | bearer(SENDER))
        assert refused.status_code == 415


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
async def test_what_a_form_could_send_is_refused(connect, content_type):
    headers = bearer(ADMIN) | ({"Content-Type": content_type} if content_type else {})
    async with connect() as client:
        for method, path in (
            ("POST", "/v1/events"),
            ("POST", "/v1/items"),
            ("PUT", "/v1/items/a"),
            ("PUT", "/v1/users/a"),
        ):
            assert (await client.request(method, path, content=b"{}", headers=headers)).status_code == 415


async def test_events_are_counted_for_the_key_that_sends_them(connect):
    async with connect(key_rate_limit=1, key_rate_burst=3, rate_limit=1, rate_burst=2) as client:
        taken = [(await client.post("/v1/events", json=VIEW, headers=bearer(SENDER))).status_code for _ in range(4)]
        assert taken == [202, 202, 202, 429], "an application's key is not counted by its address"
        page = bearer(BROWSER) | {"Origin": SHOP}
        public = [(await client.post("/v1/events", json=VIEW, headers=page)) for _ in range(3)]
        assert [response.status_code for response in public] == [202, 202, 429]
        assert int(public[-1].headers["retry-after"]) >= 1
