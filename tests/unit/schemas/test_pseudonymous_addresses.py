"""Pseudonyms at the edge of HTTP: what a route is handed, and what the caller gets back."""

from __future__ import annotations

from urllib.parse import quote

import httpx
import orjson
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from schemas.http.pseudonymous import PseudonymMiddleware, pseudonyms_of
from schemas.http.views import user_in_path
from schemas.values.pseudonyms import Pseudonyms

PSEUDONYMS = Pseudonyms(b"p" * 32)
USERS = ["ann", "a/b", 'says "hi"\\', "Zoë 日本", "recommendations"]


async def echo(scope, receive, send):
    """Answers what the route was handed."""
    request = Request(scope)
    handed = {"path": scope["path"], "user": user_in_path(scope), "query": request.query_params.multi_items()}
    response = (
        PlainTextResponse(handed["user"])
        if "plain" in request.query_params
        else Response(orjson.dumps(handed), media_type="application/problem+json")
    )
    scope["handed"] = handed
    await response(scope, receive, send)


class Edge:
    """The middleware over ``echo``; keeps what the route was handed."""

    def __init__(self) -> None:
        self.handed: dict = {}
        self.scope: dict = {}

    async def __call__(self, scope, receive, send):
        self.scope = scope
        await PseudonymMiddleware(echo, PSEUDONYMS)(scope, receive, send)
        self.handed = scope["handed"]


@pytest.fixture
def edge() -> Edge:
    return Edge()


async def call(edge: Edge, address: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(edge), base_url="http://site") as client:
        return await client.get(address)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("view", ["", "/recommendations", "/scores", "/export"])
async def test_a_route_sees_the_pseudonym_and_the_caller_the_id(edge, user, view):
    answer = await call(edge, f"/v1/users/{quote(user, safe='')}{view}")
    assert edge.handed["path"] == f"/v1/users/{PSEUDONYMS.of(user)}{view}"
    assert edge.handed["user"] == PSEUDONYMS.of(user)
    assert answer.json()["user"] == user
    assert int(answer.headers["content-length"]) == len(answer.content)


async def test_an_id_with_a_bare_slash_is_the_same_user(edge):
    await call(edge, "/v1/users/a/b/recommendations")
    assert edge.handed["user"] == PSEUDONYMS.of("a/b")


async def test_ids_in_the_query_are_replaced_and_nothing_else(edge):
    await call(edge, "/v1/items/ann/similar?user_id=a%2Fb&anonymous%5Fid=g+1&session_id=s&context.user_id=ann&count=4")
    assert edge.handed["path"] == "/v1/items/ann/similar"
    assert edge.handed["query"] == [
        ("user_id", PSEUDONYMS.of("a/b")),
        ("anonymous_id", PSEUDONYMS.of("g 1")),
        ("session_id", PSEUDONYMS.of("s")),
        ("context.user_id", "ann"),
        ("count", "4"),
    ]


@pytest.mark.parametrize("address", ["/v1/users/%00", f"/v1/users/{'x' * 129}", "/v1/users/%20ann", "/v1/users/"])
async def test_what_is_no_id_stays_for_the_route_to_refuse(edge, address):
    await call(edge, address)
    assert edge.scope["raw_path"].decode() == address


async def test_a_placeholder_stays_for_the_route_to_refuse(edge):
    await call(edge, "/v1/popular?anonymous_id=undefined")
    assert edge.handed["query"] == [("anonymous_id", "undefined")]


async def test_an_answer_that_is_no_json_is_not_touched(edge):
    answer = await call(edge, "/v1/users/ann?plain=1")
    assert answer.text == PSEUDONYMS.of("ann")


async def test_addresses_beside_the_api_stay_as_they_are(edge):
    await call(edge, "/shop/item?user_id=ann")
    assert edge.handed["query"] == [("user_id", "ann")]
    assert pseudonyms_of(edge.scope) is None
