"""The check of access as every application has it: what a stranger, a page and a key get."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from fastapi import APIRouter, Request, Response

from adapters.http.application import HotPath, build_application
from schemas.access import keys
from schemas.access.decision import AccessPolicy
from schemas.access.principal import Principal
from schemas.access.scopes import EVENTS, READS, READS_OF_USER, USER_READS, Scope, needs
from schemas.access.signing import make_user_token, request_signature, signing_secret
from schemas.access.view import AccessView
from schemas.http.access.callers import may_be_plain_text, principal_of
from schemas.http.access.guard import Access, Guard, Site
from schemas.http.access.limits import client_limits

NOW = 1_700_000_000.0
SHOP, OTHER = "https://shop.example", "https://other.example"
SECRET = b"the secret of this site, long enough"
TARGET = "/v1/events?a=%20b"
"""Path and query of signed requests."""


def key_of(number: int, *scopes: Scope, origins=()) -> keys.NewKey:
    return keys.make_key(bytes([number]) * keys.ENTROPY_BYTES, scopes, NOW - 9, origins=origins)


BROWSER = key_of(1, Scope.EVENTS_WRITE, origins=[SHOP])
SENDER = key_of(2, Scope.EVENTS_WRITE)
READER = key_of(3, Scope.RECOMMENDATIONS_READ)
PAGE_READER = key_of(4, Scope.RECOMMENDATIONS_READ, origins=[SHOP])
ADMIN = key_of(5, Scope.ADMIN)
MADE = (BROWSER, SENDER, READER, PAGE_READER, ADMIN)
FULL = AccessView(log_id="log", keys={key.record.id: key.record for key in MADE}, had_keys=True)
EMPTY = AccessView(log_id="log")


class Caller:
    """An application with routes of each kind, its keys, and a client of it."""

    def __init__(self) -> None:
        self.view, self.now, self.site = FULL, NOW, Site(AccessPolicy(site_secret=SECRET))
        self.guards: list[Guard] = []
        self.seen: Principal | None = None

    def connect(self, base_url: str = "http://shop", client: str = "192.0.2.1") -> httpx.AsyncClient:
        async def missing() -> list[str]:
            return ["the log of kafka.internal is away"]

        self.guard = Guard(lambda: self.view, lambda: self.now, self.site)
        self.guards.append(self.guard)

        @needs(EVENTS)
        async def taken(request: Request) -> Response:
            self.seen = principal_of(request.scope)
            return await take_events(request)

        hot_path = HotPath(lambda scope: scope["path"] == "/v1/events" and scope["method"] == "POST", taken)
        app = build_application("A process", [router()], missing, access=Access(self.guard), hot_paths=[hot_path])
        return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(client, 1)), base_url=base_url)


async def take_events(request: Request) -> Response:
    plain = "plain" if may_be_plain_text(request.scope) else "json"
    return Response(f"{principal_of(request.scope).who} {plain} {(await request.body()).decode()}")


def router() -> APIRouter:
    made = APIRouter()

    @made.get("/v1/popular")
    @needs(READS)
    async def popular(request: Request) -> Response:
        return Response(principal_of(request.scope).who)

    @made.get("/v1/users/{user_id:path}/recommendations")
    @needs(READS_OF_USER)
    async def recommendations(user_id: str) -> Response:
        return Response(user_id)

    @made.get("/v1/users/{user_id:path}")
    @needs(USER_READS)
    async def user(user_id: str) -> Response:
        return Response(user_id)

    @made.get("/v1/audit")
    async def audit() -> Response:
        return Response()

    @made.put("/v1/undeclared")
    async def undeclared() -> Response:
        return Response("changed")

    return made


@pytest.fixture
def caller() -> Caller:
    return Caller()


@pytest.fixture
async def client(caller) -> AsyncIterator[httpx.AsyncClient]:
    async with caller.connect() as opened:
        yield opened


def bearer(key: keys.NewKey) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.text}"}


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["type"].rpartition(":")[2]


async def test_without_a_key_a_request_is_unauthorized_and_says_how_to_send_one(client):
    response = await client.get("/v1/popular")
    assert problem(response) == (401, "no-key")
    assert response.headers["www-authenticate"] == "Bearer"
    assert "Authorization: Bearer" in response.json()["detail"]


async def test_a_key_does_what_its_scope_says_and_nothing_beyond(client):
    assert (await client.get("/v1/popular", headers=bearer(READER))).text == READER.record.id
    assert problem(await client.get("/v1/popular", headers=bearer(SENDER))) == (403, "scope")
    assert (await client.post("/v1/events", headers=bearer(SENDER), content=b"{}")).status_code == 200
    assert problem(await client.post("/v1/events", headers=bearer(READER), content=b"{}")) == (403, "scope")
    assert (await client.get("/v1/users/ann", headers=bearer(ADMIN))).text == "ann"


@pytest.mark.parametrize(
    "header", ["Bearer nonsense", "Bearer ", "Basic YTpi", READER.text, f"Bearer {READER.text[:-1]}"]
)
async def test_what_is_no_key_of_the_site_is_unauthorized(client, header):
    assert problem(await client.get("/v1/popular", headers={"Authorization": header})) == (401, "unknown-key")


async def test_the_scheme_may_be_written_in_any_case(client):
    response = await client.get("/v1/popular", headers={"Authorization": f"bearer  {READER.text} "})
    assert response.status_code == 200


async def test_a_stranger_does_not_learn_which_addresses_there_are(client):
    assert problem(await client.get("/v1/nowhere")) == (401, "no-key")
    assert (await client.get("/v1/nowhere", headers=bearer(SENDER))).status_code == 404
    assert (await client.post("/v1/popular", headers=bearer(SENDER))).status_code == 405


async def test_a_route_without_a_declared_rule_is_for_admins_alone(client):
    assert (await client.put("/v1/undeclared", headers=bearer(READER))).status_code == 403
    assert (await client.put("/v1/undeclared", headers=bearer(ADMIN))).status_code == 200


async def test_a_revoked_key_ends_with_the_next_view(client, caller):
    assert (await client.get("/v1/popular", headers=bearer(READER))).status_code == 200
    revoked = keys.revoke(READER.record, NOW)
    caller.view = AccessView(log_id="log", keys=FULL.keys | {revoked.id: revoked}, had_keys=True)
    assert problem(await client.get("/v1/popular", headers=bearer(READER))) == (401, "key-ended")


async def test_no_refusal_shows_the_key(client):
    for key, path in ((SENDER, "/v1/popular"), (key_of(9, Scope.ADMIN), "/v1/popular"), (BROWSER, "/v1/popular")):
        response = await client.get(path, headers=bearer(key))
        assert response.status_code in {401, 403}
        assert key.text not in response.text


class TestHealth:
    async def test_everybody_may_ask_whether_a_process_lives(self, client):
        assert (await client.get("/health/live")).json() == {"status": "live"}

    async def test_a_stranger_learns_that_something_is_missing_but_not_what(self, client):
        response = await client.get("/health/ready")
        assert (response.status_code, response.json()["status"]) == (503, "not ready")
        assert "kafka.internal" not in response.text

    async def test_a_key_that_reads_metrics_learns_what_is_missing(self, client):
        assert "kafka.internal" in (await client.get("/health/ready", headers=bearer(ADMIN))).text

    async def test_metrics_need_a_key(self, client):
        assert problem(await client.get("/metrics")) == (401, "no-key")
        assert (await client.get("/metrics", headers=bearer(READER))).status_code == 403
        assert "process_cpu_seconds_total" in (await client.get("/metrics", headers=bearer(ADMIN))).text

    async def test_the_description_of_the_api_is_off_unless_switched_on(self, client):
        for path in ("/docs", "/docs/static/docs.js", "/openapi.json"):
            assert (await client.get(path, headers=bearer(ADMIN))).status_code == 404


PLAIN = {"Content-Type": "text/plain;charset=UTF-8", "Origin": SHOP}


class TestBeacons:
    async def test_a_write_key_of_an_allowed_origin_may_stand_in_the_address_and_send_plain_text(self, client):
        response = await client.post(f"/v1/events?key={BROWSER.text}", headers=PLAIN, content=b"{}")
        assert response.text == f"{BROWSER.record.id} plain {{}}"

    async def test_from_another_origin_or_none_it_is_refused(self, client):
        for origin in ({"Origin": OTHER}, {"Origin": "null"}, {}):
            response = await client.post(f"/v1/events?key={BROWSER.text}", headers=origin, content=b"{}")
            assert problem(response) == (403, "origin")

    async def test_a_key_without_origins_sends_no_plain_text(self, client):
        response = await client.post(f"/v1/events?key={SENDER.text}", headers=PLAIN, content=b"{}")
        assert response.text.split()[1] == "json"

    async def test_a_key_that_may_do_more_never_stands_in_an_address(self, client):
        response = await client.post(f"/v1/events?key={ADMIN.text}", content=b"{}")
        assert problem(response) == (403, "key-in-address")
        assert problem(await client.get(f"/v1/popular?key={READER.text}")) == (401, "no-key")


class TestPages:
    """What browsers ask for a page of another origin."""

    def ask(self, origin: str, method: str) -> dict[str, str]:
        return {"Origin": origin, "Access-Control-Request-Method": method}

    async def test_a_preflight_is_answered_for_the_origins_of_keys_that_may_call_the_route(self, client):
        response = await client.options("/v1/events", headers=self.ask(SHOP, "POST"))
        assert response.status_code == 204
        assert response.headers["access-control-allow-origin"] == SHOP
        assert response.headers["access-control-allow-methods"] == "POST"
        assert "access-control-allow-credentials" not in response.headers

    @pytest.mark.parametrize(
        ("origin", "path", "method"),
        [
            (OTHER, "/v1/events", "POST"),
            (SHOP, "/v1/users/ann", "GET"),
            (SHOP, "/v1/undeclared", "PUT"),
            ("null", "/v1/events", "POST"),
        ],
    )
    async def test_other_preflights_are_refused(self, client, origin, path, method):
        response = await client.options(path, headers=self.ask(origin, method))
        assert problem(response) == (403, "origin")
        assert "access-control-allow-origin" not in response.headers

    async def test_the_answer_and_a_refusal_can_be_read_by_pages_of_the_key_alone(self, client):
        for headers, status in ((bearer(PAGE_READER), 200), ({}, 401)):
            response = await client.get("/v1/popular", headers={**headers, "Origin": SHOP})
            assert response.status_code == status
            assert response.headers["access-control-allow-origin"] == SHOP
            assert response.headers["vary"] == "Origin"
        foreign = await client.get("/v1/popular", headers={**bearer(READER), "Origin": OTHER})
        assert "access-control-allow-origin" not in foreign.headers

    async def test_the_settings_add_origins(self, caller):
        for origins, allowed in (((OTHER,), OTHER), (("*",), "*")):
            caller.site = Site(AccessPolicy(), cors_origins=origins)
            async with caller.connect() as client:
                response = await client.options("/v1/users/ann", headers=self.ask(OTHER, "GET"))
            assert response.headers["access-control-allow-origin"] == allowed

    async def test_a_page_reads_the_list_of_the_user_whose_token_it_has(self, caller):
        caller.site = Site(AccessPolicy(user_tokens=True, site_secret=SECRET))
        secret = signing_secret(SECRET, PAGE_READER.record.id)
        token = make_user_token(secret, PAGE_READER.record.id, "an/n", int(NOW) + 60)
        headers = {**bearer(PAGE_READER), "Origin": SHOP, "Freshet-User-Token": token}
        async with caller.connect() as client:
            assert (await client.get("/v1/users/an%2Fn/recommendations", headers=headers)).status_code == 200
            assert (await client.get("/v1/users/an/n/recommendations", headers=headers)).status_code == 200
            assert problem(await client.get("/v1/users/bob/recommendations", headers=headers)) == (401, "user-token")
            assert problem(await client.get("/v1/popular?user_id=bob", headers=headers)) == (401, "user-token")
            assert (await client.get("/v1/popular", headers=headers)).status_code == 200


class TestOnLoopbackWithoutKeys:
    @pytest.fixture
    def open_site(self, caller) -> Caller:
        caller.view, caller.site = EMPTY, Site(AccessPolicy(loopback=True), allowed_hosts=("box.example",))
        return caller

    async def test_everybody_on_the_machine_may_do_everything(self, open_site):
        for host in ("127.0.0.1:8000", "localhost", "[::1]:8000", "demo.localhost:8000", "box.example"):
            async with open_site.connect(f"http://{host}") as client:
                assert (await client.get("/v1/popular")).text == "loopback"
                assert (await client.put("/v1/undeclared")).status_code == 200

    async def test_a_name_that_was_rebound_to_this_machine_is_refused(self, open_site):
        for host in ("evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example"):
            async with open_site.connect(f"http://{host}") as client:
                assert problem(await client.get("/v1/popular")) == (421, "host")

    async def test_a_host_is_a_name_and_perhaps_a_port(self, open_site):
        async with open_site.connect("http://127.0.0.1:8000") as client:
            for host in ("localhost:evil.example", "127.0.0.1:8000@evil.example", "[::1].evil.example", "::1", ":8000"):
                assert problem(await client.get("/v1/popular", headers={"Host": host})) == (421, "host"), host
            for host in ("LOCALHOST:8000", "[::1]", "127.0.0.1"):
                assert (await client.get("/v1/popular", headers={"Host": host})).status_code == 200, host

    @pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host", "Via"])
    async def test_what_a_proxy_hands_on_is_not_from_this_machine(self, open_site, header):
        async with open_site.connect("http://127.0.0.1:8000") as client:
            assert (await client.get("/v1/popular")).status_code == 200
            response = await client.get("/v1/popular", headers={header: "127.0.0.1"})
            assert problem(response) == (403, "proxy")
            assert "freshet keys create" in response.json()["detail"]

    async def test_pages_of_other_origins_do_not_write(self, open_site):
        async with open_site.connect("http://127.0.0.1:8000") as client:
            for origin in (OTHER, "null", "http://127.0.0.1:9999"):
                response = await client.post("/v1/events", headers={"Origin": origin}, content=b"{}")
                assert problem(response) == (403, "origin")
            own = await client.post("/v1/events", headers={"Origin": "http://127.0.0.1:8000"}, content=b"{}")
            assert own.status_code == 200

    async def test_the_first_key_closes_the_site(self, open_site):
        async with open_site.connect("http://127.0.0.1:8000") as client:
            open_site.view = FULL
            assert problem(await client.get("/v1/popular")) == (401, "no-key")

    async def test_while_the_keys_are_unknown_nobody_is_let_in(self, open_site):
        open_site.view = AccessView()
        async with open_site.connect("http://127.0.0.1:8000") as client:
            response = await client.get("/v1/popular")
            assert problem(response) == (503, "keys-unknown")
            assert response.headers["retry-after"] == "1"
            assert (await client.get("/health/live")).status_code == 200


async def test_an_insecure_process_lets_everybody_in(caller):
    caller.view, caller.site = AccessView(), Site(AccessPolicy(insecure=True))
    async with caller.connect() as client:
        assert (await client.put("/v1/undeclared")).status_code == 200


class TestSignedRequests:
    def signed(
        self,
        body: bytes = b"{}",
        *,
        nonce="a-nonce-of-its-own",
        at=NOW,
        key=SENDER,
        method="POST",
        target=TARGET,
        **changed,
    ):
        timestamp, secret = str(int(at)), signing_secret(SECRET, key.record.id)
        signature = request_signature(secret, method, target, timestamp, nonce, body)
        parts = {"key": key.record.id, "timestamp": timestamp, "nonce": nonce, "signature": signature} | changed
        header = "Freshet-HMAC-SHA256 " + ", ".join(f"{name}={value}" for name, value in parts.items())
        return {"Authorization": header}

    async def send(self, client, headers, body=b"{}") -> httpx.Response:
        return await client.post(TARGET, headers=headers, content=body)

    async def test_a_signed_request_counts_as_one_with_the_key_and_keeps_its_body(self, client):
        response = await self.send(client, self.signed(b'{"a": 1}'), b'{"a": 1}')
        assert response.text == f'{SENDER.record.id} json {{"a": 1}}'

    async def test_it_counts_once(self, client):
        headers = self.signed()
        assert (await self.send(client, headers)).status_code == 200
        assert problem(await self.send(client, headers)) == (401, "signature")

    async def test_what_was_changed_or_is_old_is_refused(self, client):
        assert problem(await self.send(client, self.signed(), b"[]")) == (401, "signature")
        assert problem(await self.send(client, self.signed(method="PUT"))) == (401, "signature")
        assert problem(await self.send(client, self.signed(signature="00"))) == (401, "signature")
        assert problem(await self.send(client, self.signed(at=NOW - 301))) == (401, "signature")
        assert problem(await self.send(client, self.signed(timestamp="soon"))) == (401, "signature")

    async def test_the_key_must_be_live_and_have_the_scope(self, client):
        assert problem(await self.send(client, self.signed(key=READER))) == (403, "scope")
        assert problem(await self.send(client, self.signed(key=key_of(9, Scope.ADMIN)))) == (401, "unknown-key")

    async def test_a_body_is_held_only_up_to_a_limit(self, client):
        assert problem(await self.send(client, self.signed(), b" " * 1_048_577)) == (413, "too-large")

    async def test_a_site_without_a_secret_says_so(self, caller):
        caller.site = Site(AccessPolicy())
        async with caller.connect() as client:
            response = await self.send(client, self.signed())
        assert problem(response) == (401, "signature")
        assert "FRESHET_ACCESS_SECRET" in response.json()["detail"]

    async def test_no_body_is_held_for_an_old_signature_or_an_unknown_key(self, caller):
        read = []

        async def body():
            read.append(True)
            yield b"{}"

        async with caller.connect() as client:
            for headers in (self.signed(at=NOW - 301), self.signed(key=key_of(9, Scope.ADMIN))):
                assert (await client.post("/v1/events?a=%20b", headers=headers, content=body())).status_code == 401
        assert not read

    async def test_it_counts_once_on_the_whole_site(self, caller):
        noted = set()

        async def is_new_on_site(key_id: str, nonce: str) -> bool:
            return (key_id, nonce) not in noted and not noted.add((key_id, nonce))

        headers = self.signed()
        async with caller.connect() as one, caller.connect() as other:
            caller.guards[0].is_new_on_site = caller.guards[1].is_new_on_site = is_new_on_site
            assert (await self.send(one, headers)).status_code == 200
            assert problem(await self.send(other, headers)) == (401, "signature")

    @pytest.mark.parametrize(
        ("key", "method", "target", "status"),
        [
            (SENDER, "POST", TARGET, 200),
            (READER, "GET", "/v1/popular", 200),
            (ADMIN, "GET", "/v1/popular", 200),
            (ADMIN, "GET", "/v1/users/ann", 503),
            (ADMIN, "GET", "/v1/audit", 503),
            (ADMIN, "PUT", "/v1/undeclared", 503),
        ],
    )
    async def test_a_signed_request_waits_while_its_nonce_cannot_be_shared_if_a_repetition_does_harm(
        self, caller, key, method, target, status
    ):
        async def nobody_knows(_key_id: str, _nonce: str) -> None:
            return None

        async with caller.connect() as client:
            first = self.signed(key=key, method=method, target=target)
            assert (await client.request(method, target, headers=first, content=b"{}")).status_code in {200, 404, 405}
            caller.guard.is_new_on_site = nobody_knows
            second = self.signed(key=key, method=method, target=target, nonce="another-nonce-of-its-own")
            response = await client.request(method, target, headers=second, content=b"{}")
        assert response.status_code == status
        if status == 503:
            assert problem(response) == (503, "nonces-unavailable")
            assert response.headers["retry-after"] == "2"


class TestTricks:
    """What somebody tries who has a key, or the token of a user, and wants more than that."""

    @pytest.fixture
    def of_ann(self, caller) -> dict[str, str]:
        caller.site = Site(AccessPolicy(user_tokens=True, site_secret=SECRET))
        secret = signing_secret(SECRET, PAGE_READER.record.id)
        token = make_user_token(secret, PAGE_READER.record.id, "ann", int(NOW) + 60)
        return {**bearer(PAGE_READER), "Origin": SHOP, "Freshet-User-Token": token}

    @pytest.mark.parametrize(
        "query", ["user%5Fid=bob", "%75ser_id=bob", "user_id=ann&user_id=bob", "user_id=ann&user%5fid=bob", "user_id="]
    )
    async def test_no_spelling_of_a_parameter_hides_a_user(self, caller, of_ann, query):
        async with caller.connect() as client:
            assert (await client.get("/v1/popular?user_id=ann", headers=of_ann)).status_code == 200
            assert problem(await client.get(f"/v1/popular?{query}", headers=of_ann)) == (401, "user-token")

    @pytest.mark.parametrize(
        "path",
        [
            *("/v1/users/bob/recommendations", "/v1/users/%62ob/recommendations", "/v1/users/ann%2F..%2Fbob"),
            *("/v1/%75sers/ann/v1/users/bob/recommendations", "/v1/users/ann%2Frecommendations", "/v1/users//ann"),
            *("/v1/users/bob/%72ecommendations", "/v1/users/ann/../bob/recommendations", "/V1/users/ann"),
            *("//v1/users/bob/recommendations", "/v1//users/bob/recommendations", "/v1/users/ann%00/recommendations"),
        ],
    )
    async def test_no_spelling_of_a_path_reads_another_user(self, caller, of_ann, path):
        async with caller.connect() as client:
            assert (await client.get("/v1/users/%61nn/recommendations", headers=of_ann)).status_code == 200
            response = await client.get(path, headers=of_ann)
        assert response.status_code in {400, 401, 403, 404}

    @pytest.mark.parametrize("path", ["/v1/%75sers/ann", "/%761/users/ann/recommendations", "/v1%2Fusers%2Fann"])
    async def test_the_fixed_part_of_a_path_is_not_percent_encoded(self, client, path):
        response = await client.get(path, headers=bearer(ADMIN))
        assert problem(response) == (400, "encoded-path")

    @pytest.mark.parametrize("name", ["Authorization", "Host", "Origin", "Content-Type", "Freshet-User-Token"])
    async def test_a_header_that_decides_comes_once(self, client, name):
        first = bearer(READER)["Authorization"] if name == "Authorization" else "shop"
        sent = [(name, first), (name, "other"), *(bearer(READER).items() if name != "Authorization" else ())]
        assert problem(await client.get("/v1/popular", headers=sent)) == (400, "repeated-header")

    async def test_other_headers_may_come_twice(self, client):
        sent = [("Accept", "a/b"), ("Accept", "c/d"), *bearer(READER).items()]
        assert (await client.get("/v1/popular", headers=sent)).status_code == 200

    @pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
    async def test_a_header_does_not_change_the_method(self, client, header):
        response = await client.get("/v1/undeclared", headers={**bearer(ADMIN), header: "PUT"})
        assert response.status_code == 405
        as_form = await client.post("/v1/popular?_method=GET", headers=bearer(READER))
        assert as_form.status_code == 405

    async def test_head_and_options_tell_a_stranger_nothing(self, client):
        for method in ("HEAD", "OPTIONS", "TRACE", "get"):
            for path in ("/v1/popular", "/v1/users/ann", "/v1/nowhere"):
                assert (await client.request(method, path)).status_code == 401

    async def test_an_address_with_a_slash_too_many_is_not_redirected(self, client):
        for path in ("/v1/popular/", "/health/live/"):
            response = await client.get(path, headers={**bearer(ADMIN), "Host": "evil.example"})
            assert (response.status_code, response.headers.get("location")) == (404, None)

    async def test_a_preflight_allows_one_method_that_there_is(self, client):
        for method in ("GET, DELETE", "*", "PROPFIND"):
            asked = {"Origin": SHOP, "Access-Control-Request-Method": method}
            assert problem(await client.options("/v1/popular", headers=asked)) == (403, "origin")


class TestKeysThatNeedTheTokenOfAUser:
    BOUND = keys.make_key(
        bytes([8]) * keys.ENTROPY_BYTES,
        [Scope.EVENTS_WRITE, Scope.RECOMMENDATIONS_READ, Scope.USERS_WRITE],
        NOW - 9,
        needs_user_token=True,
    )
    SIGNER = key_of(7, Scope.EVENTS_WRITE, Scope.RECOMMENDATIONS_READ)

    def token(self, user: str) -> str:
        return make_user_token(
            signing_secret(SECRET, self.SIGNER.record.id), self.SIGNER.record.id, user, int(NOW) + 60
        )

    @pytest.fixture
    def bound(self, caller) -> Caller:
        made = (*MADE, self.BOUND, self.SIGNER)
        caller.view = AccessView(log_id="log", keys={key.record.id: key.record for key in made}, had_keys=True)
        return caller

    async def test_reading_about_a_user_needs_the_token_also_from_a_program(self, bound):
        async with bound.connect() as client:
            assert problem(await client.get("/v1/users/ann/recommendations", headers=bearer(self.BOUND))) == (
                401,
                "no-user-token",
            )
            of_ann = {**bearer(self.BOUND), "Freshet-User-Token": self.token("ann")}
            for _ in range(2):
                assert (await client.get("/v1/users/ann/recommendations", headers=of_ann)).status_code == 200
                assert (await client.get("/v1/users/bob/recommendations", headers=of_ann)).status_code == 401
                assert (await client.get("/v1/popular", headers=bearer(self.BOUND))).status_code == 200

    async def test_the_route_learns_for_whom_it_speaks(self, bound):
        async with bound.connect() as client:
            for headers in (bearer(self.BOUND), {**bearer(self.BOUND), "Freshet-User-Token": self.token("ann")}):
                assert (await client.post("/v1/events", headers=headers, content=b"{}")).status_code == 200
                assert bound.seen.speaks_for("ann") == ("Freshet-User-Token" in headers)
                assert not bound.seen.speaks_for("bob")
            await client.post("/v1/events", headers=bearer(SENDER), content=b"{}")
            assert bound.seen.speaks_for("bob"), "another key may name every user"

    async def test_the_token_of_a_key_that_sends_no_events_counts_for_none(self, bound):
        secret = signing_secret(SECRET, READER.record.id)
        token = make_user_token(secret, READER.record.id, "ann", int(NOW) + 60)
        async with bound.connect() as client:
            await client.post("/v1/events", headers={**bearer(self.BOUND), "Freshet-User-Token": token}, content=b"{}")
        assert not bound.seen.speaks_for("ann")


class TestLimits:
    @pytest.fixture
    def limited(self, caller) -> Callable[..., httpx.AsyncClient]:
        limits = client_limits((1, 2), (1, 3), lambda: caller.now)
        caller.site = Site(AccessPolicy(), read_limits=limits)
        return caller.connect

    async def count(self, client: httpx.AsyncClient, headers: dict[str, str]) -> int:
        for number in range(20):
            response = await client.get("/v1/popular", headers=headers)
            if response.status_code == 429:
                assert int(response.headers["retry-after"]) >= 1
                return number
        return 20

    async def test_a_private_key_is_counted_by_itself_and_a_public_one_by_address_too(self, limited, caller):
        async with limited() as client:
            assert await self.count(client, bearer(READER)) == 3
            assert await self.count(client, {**bearer(PAGE_READER), "Origin": SHOP}) == 2
            assert await self.count(client, bearer(ADMIN)) == 3

    async def test_an_address_of_ipv6_is_counted_by_its_network(self, caller):
        limits = client_limits((1, 2), (0, 1), lambda: caller.now)
        caller.view, caller.site = EMPTY, Site(AccessPolicy(loopback=True), (), ("shop",), limits)
        counts = []
        for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"):
            async with caller.connect(client=address) as client:
                client._transport.app = getattr(self, "app", client._transport.app)
                self.app = client._transport.app
                counts.append(await self.count(client, {}))
        assert counts == [2, 0, 2]

    async def test_health_is_never_limited(self, limited):
        async with limited() as client:
            assert {(await client.get("/health/live")).status_code for _ in range(9)} == {200}


async def test_the_hour_of_the_last_use_is_noted(client, caller):
    await client.get("/v1/popular", headers=bearer(READER))
    await client.get("/v1/popular", headers=bearer(SENDER))
    assert caller.guard.uses[READER.record.id] == int(NOW // 3_600)


def test_a_digest_is_all_that_the_view_keeps():
    text = json.dumps([key.digest for key in FULL.keys.values()])
    assert hashlib.sha256(READER.text.encode()).hexdigest() in text
