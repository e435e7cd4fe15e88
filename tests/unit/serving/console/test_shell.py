"""The files of the console: who gets the page, and under which content security policy."""

import re

import httpx
import pytest
from fastapi import FastAPI

from schemas.access.principal import ANONYMOUS, LOOPBACK
from schemas.http.access.callers import set_principal
from serving.console.shell import build_no_shell_router, build_shell_router


class As:
    """ASGI middleware that says who calls."""

    def __init__(self, app, principal):
        self._app, self._principal = app, principal

    async def __call__(self, scope, receive, send):
        set_principal(scope, self._principal)
        await self._app(scope, receive, send)


@pytest.fixture
def answer():
    async def answer(path, principal=LOOPBACK, router=None):
        app = FastAPI(redirect_slashes=False)
        app.include_router(router or build_shell_router())
        transport = httpx.ASGITransport(app=As(app, principal))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.get(path)

    return answer


async def test_who_is_not_signed_in_is_sent_to_the_form_and_back(answer):
    response = await answer("/console", ANONYMOUS)
    assert response.status_code == 303
    assert response.headers["location"] == "/account/sign-in?next=%2Fconsole"


async def test_no_script_may_stand_in_the_page_or_come_from_another_host(answer):
    response = await answer("/console")
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert re.findall(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=", response.text) == []


async def test_every_file_that_the_page_names_is_served(answer):
    page = await answer("/console")
    names = re.findall(r'(?:src|href)="(/console/static/[^"]+)"', page.text)
    assert len(names) == 5
    for name in names:
        file = await answer(name)
        assert file.status_code == 200
        assert "immutable" in file.headers["cache-control"]


@pytest.mark.parametrize("name", ["../shell.py", "console.html", "..%2Fshell.py", "nothing.js"])
async def test_no_other_file_is_served(answer, name):
    assert (await answer(f"/console/static/v/{name}")).status_code == 404


async def test_a_console_that_is_off_says_how_to_switch_it_on(answer):
    response = await answer("/console", router=build_no_shell_router())
    assert response.status_code == 404
    assert "FRESHET_CONSOLE=true" in response.json()["detail"]
