"""Asks a process every few milliseconds whether it lives: the longest wait shows how long its event loop was held.

``held`` counts only the CPU time of the process's first thread, which runs the loop, while a probe waited. So it says the
same on a machine that is busy with other things. ``python -m tests.bench.prober PORT PID`` is a process of its own, so that
the load's client does not disturb it.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

PAUSE_SECONDS: Final = 0.005
_REQUEST: Final = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
_LONGEST_SECONDS: Final = 120.0


@contextmanager
def probing(port: int, pid: int) -> Iterator[dict[str, Any]]:
    """Probes a process of this machine meanwhile; the figures are there at the end."""
    command = [sys.executable, "-m", "tests.bench.prober", str(port), str(pid)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    figures: dict[str, Any] = {}
    try:
        assert process.stdout.readline() == "probing\n"
        yield figures
    finally:
        output, _ = process.communicate("", timeout=_LONGEST_SECONDS)
    figures |= json.loads(output)


def _probe(port: int, pid: int, ended: threading.Event) -> list[tuple[float, float]]:
    """The seconds that each probe waited, and those that the loop's thread computed meanwhile."""
    waits = []
    with socket.create_connection(("127.0.0.1", port), timeout=_LONGEST_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not ended.wait(PAUSE_SECONDS):
            computed, sent = _computed(pid), time.perf_counter()
            connection.sendall(_REQUEST)
            if not connection.recv(65_536):
                break
            waits.append((time.perf_counter() - sent, _computed(pid) - computed))
    return waits


def _computed(pid: int) -> float:
    """The CPU seconds of a process's first thread (Linux)."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


def _main(port: int, pid: int) -> None:
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    sys.stdout.write("probing\n")
    sys.stdout.flush()
    waited, held = (np.array(_probe(port, pid, ended)) * 1_000).T
    figures = {
        "worst_wait_ms": round(float(waited.max()), 1),
        "worst_held_ms": round(float(held.max()), 1),
        "p99_held_ms": round(float(np.percentile(held, 99)), 1),
        "probes": held.size,
    }
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]))
