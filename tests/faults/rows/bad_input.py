"""Clients send what no client should, to a process that serves others meanwhile."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
import time

from tests.bench.system import rss_mib
from tests.faults.run import Fault, Run, call, port_of

GROWTH_MIB = 256.0
"""Memory that a flood may take for good."""
IDLE_CONNECTIONS = 900
SERVED_SECONDS = 2.0
"""Within this time, others are answered during a flood."""
_JSON = {"Content-Type": "application/json"}
_GOOD = '{"type":"view","user_id":"messy-1","item_id":"i1"}'


def _event(field: str) -> bytes:
    return f'{{"type":"view","user_id":"messy-1","item_id":"i1",{field}}}'.encode("utf-8", "surrogatepass")


ALONE = {
    "JSON that breaks off": b'{"type":',
    "NaN": _event('"value":NaN'),
    "depth 10,000": b"[" * 10_000 + b"]" * 10_000,
    "depth 10,000 inside an event": _event('"properties":' + '{"a":' * 10_000 + "1" + "}" * 10_000),
    "bad UTF-8": b'{"type":"view","user_id":"\xff\xfe","item_id":"i1"}',
    "a lone surrogate": rb'{"type":"view","user_id":"\ud800","item_id":"i1"}',
    "a number of 5,000 digits": _event('"value":' + "9" * 5_000),
    "a position of 30 digits": _event('"position":' + "9" * 30),
    "the year 9999": _event('"occurred_at":"9999-12-31T23:59:59Z"'),
    "year 0": _event('"occurred_at":"0000-01-01T00:00:00Z"'),
    "an id of 10,000 characters": _event(f'"session_id":"{"x" * 10_000}"'),
    "an empty body": b"",
    "a text": b'"text"',
}


def flood(run: Run) -> None:
    """Send each bad body alone and among good ones, then a gzip bomb, an endless body, and idle connections."""
    process = run.world.processes[run.world.collecting]
    before = rss_mib(process.pid)
    for _ in run.repeat():
        for name, body in ALONE.items():
            status = _post(run, body)
            run.expect(400 <= status < 500, f"{name}: {status}")
        _siblings(run)
        status = _post(run, gzip.compress(b" " * 200_000_000, 1), {"Content-Encoding": "gzip"})
        run.expect(status == 413, f"a gzip bomb: {status}")
        status = _endless(run)
        run.expect(status in {0, 408, 413, 429}, f"an endless body: {status}")
        _idle_connections(run)
        run.recover()
    growth = rss_mib(process.pid) - before
    run.notes.append(f"the collector's memory grew by {growth:.0f} MiB")
    run.expect(growth <= GROWTH_MIB, f"the collector's memory grew by {growth:.0f} MiB")


def _siblings(run: Run) -> None:
    """A bad event names itself, and the good ones around it are kept."""
    body = f'[{_GOOD},{{"type":"view"}},{_GOOD}]'.encode()
    status, answer = call(f"{run.world.collector}/v1/events", json.loads(body))
    told = [result["status"] for result in answer.get("results", ())]
    run.expect(status == 207, f"a bad event among good ones: {status}")
    run.expect(told == ["accepted", "rejected", "accepted"], f"a bad event among good ones: {told}")


def _post(run: Run, body: bytes, headers: dict[str, str] | None = None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(run.world.collector), timeout=30)
    try:
        connection.request("POST", "/v1/events", body, _JSON | (headers or {}))
        return connection.getresponse().status
    finally:
        connection.close()


def _endless(run: Run) -> int:
    """The status of a body that never ends; 0 if the connection was closed."""
    port = port_of(run.world.collector)
    head = f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(head.encode())
        with contextlib.suppress(OSError):
            for _ in range(1_000):
                client.sendall(b"10000\r\n" + b" " * 65_536 + b"\r\n")
        with contextlib.suppress(OSError):
            return int(client.recv(100).split()[1] or 0)
    return 0


def _idle_connections(run: Run) -> None:
    """Many connections begin a request and never end it, byte by byte; others are served."""
    port, slowest = port_of(run.world.collector), 0.0
    with contextlib.ExitStack() as opened:
        clients = [
            opened.enter_context(socket.create_connection(("127.0.0.1", port), 10)) for _ in range(IDLE_CONNECTIONS)
        ]
        for letter in b"POST /v1":
            for client in clients:
                with contextlib.suppress(OSError):
                    client.send(bytes([letter]))
            began = time.monotonic()
            status, _ = call(f"{run.world.collector}/v1/events", json.loads(_GOOD))
            slowest = max(slowest, time.monotonic() - began)
            run.expect(status == 202, f"another client got {status} beside {IDLE_CONNECTIONS} idle connections")
    run.expect(
        slowest <= SERVED_SECONDS, f"another client waited {slowest:.1f} s beside {IDLE_CONNECTIONS} idle connections"
    )


FAULTS = [
    Fault(
        13,
        "bad-input",
        "bad JSON, NaN, depth 10,000, bad UTF-8, surrogates, huge numbers, year 9999; gzip bomb, endless body, 900 slow connections",
        "4xx that names the event, good ones beside it are kept, memory bounded, others served",
        flood,
        repetitions=5,
    ),
]
