"""A full disk under the embedded stack: events are refused with the reason, reads go on, and all heals by itself."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.sqlite.log import SqliteLogReader
from schemas.log import topics
from schemas.log.codec import decode_event
from tests.e2e.systems import call, free_port

SIZE = "24m"
SECONDS = 90.0
"""For each step, on a busy machine."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount a small disk"),
]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own, of 24 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture
def url(disk: Path) -> Iterator[str]:
    """The address of `freshet up` on that disk."""
    port = free_port()
    environment = {**os.environ, "FRESHET_PARTITIONS": "2"}
    command = [sys.executable, "-m", "deploy.commands.cli", "up", "--data", str(disk), "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: get(f"{address}/health/ready")[0] == 200)
        yield address
    finally:
        process.terminate()
        process.wait(60)


def wait_until(holds) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def get(address: str):
    with contextlib.suppress(urllib.error.URLError, ConnectionError):
        return call(address)
    return 0, None


def post(url: str, event_id: str, user: str = "ann"):
    event = {"type": "view", "user_id": user, "item_id": "game-1", "event_id": event_id}
    return call(f"{url}/v1/events", event)


def fill(disk: Path) -> Path:
    """Writes a file that leaves nothing free."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as out, contextlib.suppress(OSError):
        while True:
            out.write(b"x" * 65_536)
    with filler.open("ab", buffering=0) as out, contextlib.suppress(OSError):
        while True:
            out.write(b"x")
    return filler


def test_a_full_disk_refuses_events_and_nothing_else_and_heals_by_itself(disk, url):
    assert call(f"{url}/v1/items/game-1", {"title": "Celeste"}, "PUT")[0] == 202
    acknowledged = [f"before{number}" for number in range(20) if post(url, f"before{number}")[0] == 202]
    assert len(acknowledged) == 20
    wait_until(lambda: get(f"{url}/v1/items/game-1")[0] == 200)

    refused = []
    filler = fill(disk)
    for number in range(400):
        status, answer = post(url, f"full{number}")
        assert status in {202, 503}, answer
        (acknowledged if status == 202 else refused).append(f"full{number}")
        if len(refused) > 20:
            break
    assert len(refused) > 20
    assert "full" in answer["detail"]
    for path in ("v1/users/ann/recommendations", "v1/users/new/recommendations", "v1/items/game-1", "v1/popular"):
        assert get(f"{url}/{path}")[0] == 200, path

    filler.unlink()
    wait_until(lambda: post(url, "after")[0] == 202)
    status, answer = post(url, "last")
    token = answer["results"][0]["offset"]
    acknowledged += ["after", "last"]
    wait_until(lambda: get(f"{url}/v1/users/ann/recommendations?after={token}")[1]["signals_offset"] == token)
    wait_until(lambda: get(f"{url}/health/ready")[0] == 200)
    counted = get(f"{url}/v1/users/ann")[1]["counters"]["view"]
    stored = [decode_event(record.value).event_id for record in records(disk)]
    assert {*acknowledged} <= {*stored}
    assert not {*refused} & {*stored}
    assert counted == len({*stored})


def records(disk: Path):
    reader = SqliteLogReader(disk)
    for partition in range(2):
        yield from reader.read(topics.EVENTS, partition, 0, 10_000)
    reader.close()
