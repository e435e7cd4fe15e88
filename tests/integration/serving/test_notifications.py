"""A browser's stream of notifications from a real process, over real HTTP."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest


@pytest.fixture
def address(embedded):
    """`freshet up` on the shop's folder, as a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"FRESHET_PARTITIONS": "4", "FRESHET_MODEL_SECONDS": "0.1", "FRESHET_STORE_SECONDS": "5"}
    command = [sys.executable, "-m", "deploy.commands.cli", "up", "--data", str(embedded.folder), "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while not _ready(address):
            assert time.monotonic() < deadline, "it did not become ready"
            time.sleep(0.05)
        yield address, process
    finally:
        process.kill()
        process.wait()


def _ready(address):
    try:
        return httpx.get(f"{address}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def blocks(response):
    """Each block of a stream, as a dict of its fields."""
    block = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            block[name] = value
        elif block:
            yield block
            block = {}


def test_a_new_version_is_told_to_those_whose_list_it_changes_and_the_process_stops_at_once(embedded, address):
    url, process = address
    stream = f"{url}/v1/users/user-1/notifications"
    with httpx.stream("GET", stream, timeout=30) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        found = blocks(response)
        known = next(found)
        assert known["id"].startswith("v1.")
        embedded.train("v2")
        same = next(found)
        assert same["id"].startswith("v2.")
        assert "event" not in same
        embedded.train("v3", shift=1)
        told = next(found)
        assert told["event"] == "recommendations"
        assert json.loads(told["data"])["model_version"] == "v3"
        assert json.loads(told["data"])["changed"] > 0
        with httpx.stream("GET", stream, headers={"Last-Event-ID": known["id"]}, timeout=30) as again:
            assert json.loads(next(blocks(again))["data"])["model_version"] == "v3"
        process.send_signal(signal.SIGTERM)
        assert list(found) == []
    assert process.wait(20) == 0
