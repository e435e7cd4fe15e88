"""A real collector with 1,024 files: clients that never end a request do not keep others out."""

import contextlib
import http.client
import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.e2e.systems import free_port

HEADER_SECONDS, BODY_SECONDS = 1.5, 1.5
FILES = 1_024
DEADLINE = 8.0
"""Seconds within which a normal client is served, on a busy machine."""


@pytest.fixture(scope="module")
def port(tmp_path_factory) -> Iterator[int]:
    port = free_port()
    settings = {
        "FRESHET_DATA": str(tmp_path_factory.mktemp("data")),
        "FRESHET_COLLECTOR_PORT": str(port),
        "FRESHET_HEADER_SECONDS": str(HEADER_SECONDS),
        "FRESHET_BODY_SECONDS": str(BODY_SECONDS),
    }
    process = subprocess.Popen(
        ["/bin/sh", "-c", f'ulimit -S -n 256; ulimit -H -n {FILES}; exec "$0" -m ingest.main', sys.executable],
        env={**os.environ, **settings},
    )
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            assert process.poll() is None
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def clients() -> Iterator[contextlib.ExitStack]:
    """Connections that are closed at the end; this process may open enough of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8_192), hard))
    with contextlib.ExitStack() as stack:
        yield stack
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect(port: int, address: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 5, source_address=(address, 0))


def post_event(port: int, address: str = "127.0.0.1") -> tuple[int, float]:
    """The status of one event, and the seconds until it came."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, 10, source_address=(address, 0))
    event = {"type": "view", "user_id": "ann", "item_id": "portal-2"}
    connection.request("POST", "/v1/events", json.dumps(event), {"Content-Type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    return status, time.monotonic() - began


def answer(connection: socket.socket, within: float) -> bytes:
    """All that comes until the connection ends; fails if it does not end in time."""
    connection.settimeout(within)
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            received += part
    return received


def served(port: int, address: str = "127.0.0.1") -> bool:
    status, seconds = post_event(port, address)
    return status == 202 and seconds < DEADLINE


def test_idle_connections_of_one_client_keep_nobody_out(port, clients):
    for _ in range(1_100):
        clients.enter_context(connect(port))
    assert served(port, "127.0.0.9")
    assert served(port)


def test_idle_connections_of_many_clients_keep_nobody_out(port, clients):
    for number in range(1_100):
        clients.enter_context(connect(port, f"127.0.1.{number % 50 + 1}"))
    assert served(port, "127.0.0.9")


def test_a_connection_without_a_request_is_closed(port, clients):
    assert answer(clients.enter_context(connect(port)), HEADER_SECONDS + 5) == b""


@pytest.mark.parametrize("byte", [b"G", b"\r\n"])
def test_a_kept_connection_that_sends_a_little_is_closed(port, clients, byte):
    connection = clients.enter_context(connect(port))
    connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    connection.recv(65_536)
    connection.sendall(byte)
    answer(connection, HEADER_SECONDS + 5)


def test_slow_headers_are_answered_408(port, clients):
    connection = clients.enter_context(connect(port))
    connection.sendall(b"GET /health/live HTTP/1.1\r\n")
    began = time.monotonic()
    with contextlib.suppress(OSError):
        for number in range(40):
            connection.sendall(f"X-{number}: a\r\n".encode())
            time.sleep(0.1)
            assert time.monotonic() - began < HEADER_SECONDS + 3
    assert b" 408 " in answer(connection, 1) or time.monotonic() - began < HEADER_SECONDS + 3


def test_a_body_that_never_comes_is_answered_408(port, clients):
    connection = clients.enter_context(connect(port))
    connection.sendall(
        b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    received = answer(connection, BODY_SECONDS + 5)
    assert received.startswith(b"HTTP/1.1 408 ")
    assert b"urn:freshet:problem:too-slow" in received


def test_an_endless_body_is_refused_and_ends(port, clients):
    connection = clients.enter_context(connect(port))
    connection.sendall(
        b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    sent = 0
    with contextlib.suppress(OSError):
        while sent < 64 * 1_048_576:
            connection.sendall(b"10000\r\n" + b" " * 65_536 + b"\r\n")
            sent += 65_536
    assert sent < 64 * 1_048_576


def test_a_head_without_end_is_refused(port, clients):
    connection = clients.enter_context(connect(port))
    sent = 0
    with contextlib.suppress(OSError):
        connection.sendall(b"GET /health/live HTTP/1.1\r\n")
        while sent < 8 * 1_048_576:
            connection.sendall(b"X-Long: " + b"a" * 8_192 + b"\r\n")
            sent += 8_192
    assert sent < 8 * 1_048_576


def test_slow_clients_hold_nobody_up(port, clients):
    for _ in range(300):
        connection = clients.enter_context(connect(port))
        connection.sendall(
            b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
    assert served(port)
    assert served(port, "127.0.0.9")


def test_a_client_that_is_fast_enough_is_served_over_one_connection(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, 10)
    for _ in range(3):
        time.sleep(HEADER_SECONDS + 1.2)  # idle for longer than a request may take to come
        connection.request("GET", "/health/live")
        assert connection.getresponse().read() == b'{"status":"live"}'
    connection.close()


def test_connections_are_counted(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, 10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(figures['freshet_http_connections_closed_total{reason="body"}']) > 0
    assert float(figures['freshet_http_connections_closed_total{reason="room"}']) > 0
    assert 1 <= float(figures["freshet_http_connections"]) <= FILES
