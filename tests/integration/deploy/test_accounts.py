"""A running embedded site: an administrator signs in, changes an item, is disabled by command, and all of it is audited."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import httpx
import pytest
from typer.testing import CliRunner

from deploy.commands.cli import app
from tests.e2e.systems import eventually, free_port

PASSWORD = "a long enough one"


def freshet(*words: str, typed: str = "") -> str:
    result = CliRunner().invoke(app, list(words), input=typed, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def site(tmp_path):
    data, port = str(tmp_path), free_port()
    freshet("admin", "create", "anna", "--password-stdin", "--data", data, typed=f"{PASSWORD}\n")
    command = [sys.executable, "-m", "deploy.commands.cli", "up", "--data", data, "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as browser:
            eventually(lambda: _answers(browser), 60, "the site answers")
            browser.data = data
            yield browser
    finally:
        process.terminate()
        process.wait(90)


def _answers(browser: httpx.Client) -> bool:
    try:
        return browser.get("/health/live").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.timeout(240)
def test_an_administrator_signs_in_changes_an_item_and_is_shut_out_within_two_seconds(site):
    item = {"title": "Zelda"}
    assert site.put("/v1/items/1", json=item).status_code == 401, "the site has an account, so it is no longer open"
    token = re.search(r'name="csrf_token" value="([^"]+)"', site.get("/account/sign-in").text)[1]
    signed_in = site.post("/account/sign-in", data={"name": "anna", "password": PASSWORD, "csrf_token": token})
    assert signed_in.status_code == 303
    csrf = site.get("/account", headers={"Accept": "application/json"}).json()["csrf_token"]
    assert site.put("/v1/items/1", json=item).status_code == 403, "a session alone is not enough: the token is missing"
    assert site.put("/v1/items/1", json=item, headers={"X-CSRF-Token": csrf}).status_code == 202

    records = [json.loads(line) for line in freshet("audit", "list", "--json", "--data", site.data).splitlines()]
    assert [(record["actor"], record["action"]) for record in records[:2]] == [
        ("anna", "PUT /v1/items/{item_id}"),
        ("anna", "signed in"),
    ]
    assert records[0]["after"] == item

    freshet("admin", "create", "bert", "--password-stdin", "--data", site.data, typed=f"{PASSWORD}\n")
    freshet("admin", "disable", "anna", "--data", site.data)
    refused = {"X-CSRF-Token": csrf}
    eventually(lambda: site.put("/v1/items/1", json=item, headers=refused).status_code == 401, 2, "anna is shut out")
