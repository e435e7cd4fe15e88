"""Keys on both stacks: made, used, refused beyond their scope, rotated, and revoked everywhere within two seconds."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.commands.cli import app
from schemas.access.signing import SCHEME, request_signature
from tests.e2e.systems import System

PROMISED_SECONDS = 2.0
VIEW = {"type": "view", "user_id": "ann", "item_id": "lamp"}
SHOP = "https://shop.example"


def keys(system: System, *arguments: str) -> str:
    """Runs ``freshet keys`` on the system; the last line of its standard output."""
    command = ["keys", *arguments, "--data", str(system.folder), "--stack", system.stack]
    done = CliRunner().invoke(app, command, env=system.environment())
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout.strip().rpartition("\n")[2]


def status(url: str, key: str = "", body: Any = None, **headers: str) -> int:
    data = None if body is None else json.dumps(body).encode()
    told = {"Content-Type": "application/json", **headers} | ({"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, told), timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def seconds_until(expected: int, url: str, key: str, body: Any = None) -> float:
    """How long it takes from now until the call has this status."""
    began = time.monotonic()
    while (found := status(url, key, body)) != expected:
        assert time.monotonic() - began < 30, f"still {found}"
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.fixture(scope="module")
def running(system: System) -> Iterator[System]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRESHET_ACCESS_SECRET", "a secret that all processes of this site share")
        system.start()
        yield system
        system.stop()


def test_from_the_first_key_to_its_revocation(running: System) -> None:
    events, popular = f"{running.collector}/v1/events", f"{running.api}/v1/popular"
    assert (status(events, body=VIEW), status(popular)) == (202, 200), "a site without keys is open to its machine"

    sender = keys(running, "create", "--scope", "events:write", "--name", "sender")
    reader = keys(running, "create", "--scope", "recommendations:read")
    browser = keys(running, "create", "--scope", "events:write", "--origin", SHOP)
    for url, key, body in ((events, browser, VIEW), (popular, reader, None), (popular, "", None)):
        seconds_until({browser: 403, reader: 200, "": 401}[key], url, key, body)

    assert (status(events, sender, VIEW), status(events, reader, VIEW), status(events, body=VIEW)) == (202, 403, 401)
    assert (status(popular, reader), status(popular, sender), status(popular)) == (200, 403, 401)
    assert status(f"{events}?key={browser}", body=VIEW, Origin=SHOP, **{"Content-Type": "text/plain"}) == 202
    assert status(f"{events}?key={browser}", body=VIEW, Origin="https://other.example") == 403
    assert status(f"{running.api}/v1/users/ann", reader) == 403
    assert (status(f"{running.api}/metrics", reader), status(f"{running.api}/health/live")) == (403, 200)

    newer = keys(running, "rotate", "sender")
    seconds_until(202, events, newer, VIEW)
    assert status(events, sender, VIEW) == 202, "within the grace time both count"

    keys(running, "revoke", sender)
    assert seconds_until(401, events, sender, VIEW) <= PROMISED_SECONDS
    keys(running, "revoke", reader)
    assert seconds_until(401, popular, reader) <= PROMISED_SECONDS
    assert status(events, newer, VIEW) == 202

    listed = [json.loads(line) for line in _list(running)]
    assert {row["state"] for row in listed} == {"live", "revoked"}
    assert all(row["last_use"] for row in listed), "each was used in this hour"


def test_a_restart_knows_the_keys_and_the_signed_requests_of_before(running: System) -> None:
    key = keys(running, "create", "--scope", "events:write")
    seconds_until(202, f"{running.collector}/v1/events", key, VIEW)
    first, other = (signed(running, key, "/v1/events", VIEW) for _ in range(2))
    assert status(f"{running.collector}/v1/events", body=VIEW, Authorization=first) == 202
    assert status(f"{running.collector}/v1/events", body=VIEW, Authorization=first) == 401
    running.stop()
    running.start()
    assert status(f"{running.api}/v1/popular") == 401
    assert status(f"{running.collector}/v1/events", body=VIEW, Authorization=first) == 401, "it was recorded before"
    assert status(f"{running.collector}/v1/events", body=VIEW, Authorization=other) == 202


def signed(system: System, key: str, target: str, body: Any) -> str:
    """The Authorization header of a signed request."""
    key_id, timestamp, nonce = key.rpartition("_")[0][:16], str(int(time.time())), os.urandom(16).hex()
    secret = keys(system, "signing-secret", key_id)
    signature = request_signature(secret, "POST", target, timestamp, nonce, json.dumps(body).encode())
    return f"{SCHEME} key={key_id}, timestamp={timestamp}, nonce={nonce}, signature={signature}"


def test_no_key_is_in_any_file_or_log_of_the_site(running: System) -> None:
    secret = keys(running, "create", "--scope", "admin", "--name", "found nowhere")
    seconds_until(200, f"{running.api}/v1/popular", secret)
    seconds_until(403, f"{running.collector}/v1/events?key={secret}", "", VIEW)
    assert status(f"{running.api}/v1/nowhere", secret) == 404
    running.stop()
    files = [path for path in running.folder.parent.rglob("*") if path.is_file()]
    assert any(path.name.endswith(".log") for path in files)
    found = [str(path) for path in files if secret.rpartition("_")[2].encode() in path.read_bytes()]
    assert found == []
    known = [path for path in files if path.name.startswith("access-") and path.suffix == ".json"]
    assert known
    assert all(_mode(path) == 0o600 for path in known)


def _list(system: System) -> list[str]:
    command = ["keys", "list", "--json", "--data", str(system.folder), "--stack", system.stack]
    return CliRunner().invoke(app, command, env=system.environment()).stdout.strip().splitlines()


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777
