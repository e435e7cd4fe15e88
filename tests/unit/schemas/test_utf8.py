from __future__ import annotations

from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from schemas.http.utf8 import Utf8Middleware, address_problem


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.path_params["id"] + "?" + request.query_params.get("q", ""))


def scope(path: bytes, query: bytes = b"") -> dict[str, object]:
    return {"type": "http", "path": unquote(path.decode("latin-1")), "raw_path": path, "query_string": query}


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/caf%C3%A9?q=%C3%A9", 200),
        ("/%EF%BF%BD", 200),
        ("/100%", 200),
        ("/caf%E9", 400),
        ("/%ED%A0%80", 400),
        ("/%C0%AF", 400),
        ("/x?q=%FF", 400),
        ("/x?%FF=1", 400),
        ("/x?a=1&q=caf%e9", 400),
    ],
)
async def test_an_address_that_is_not_utf8_is_a_problem(address, status):
    app = Starlette(routes=[Route("/{id:path}", echo)])
    app.add_middleware(Utf8Middleware)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        answer = await client.get(address)
    assert answer.status_code == status
    if status == 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert "UTF-8" in answer.json()["detail"]


def test_a_line_break_in_a_path_is_a_problem_and_not_a_missing_route():
    problem = address_problem(scope(b"/v1/items/a%0Ab"))
    assert (problem.status, problem.code, problem.field) == (400, "control-character", "item_id")
    assert address_problem(scope(b"/a%0Ab")).field is None


def test_the_parameter_is_named():
    assert address_problem(scope(b"/x", b"a=1&exclude=caf%E9")).field == "exclude"
    assert address_problem(scope(b"/x", b"%E9=1")).field is None


@given(st.binary())
def test_whatever_is_in_an_address_is_text_or_a_problem(data):
    encoded = b"".join(b"%%%02X" % byte for byte in data)
    try:
        data.decode()
    except UnicodeDecodeError:
        assert address_problem(scope(b"/" + encoded)).status == 400
        assert address_problem(scope(b"/", b"q=" + encoded)).field == "q"
    else:
        assert address_problem(scope(b"/", b"q=" + encoded)) is None
        assert (address_problem(scope(b"/" + encoded)) is None) == (b"\n" not in data)
