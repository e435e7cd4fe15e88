"""HTTP load from one event loop: a closed loop over several connections, or an open loop at a fixed rate."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

import aiohttp

from schemas.http.api import KEEP_ALIVE_SECONDS

_LENGTH: Final = re.compile(rb"(?i)content-length: *(\d+)")
_IDLE_SECONDS: Final = KEEP_ALIVE_SECONDS / 2
"""A connection that was idle for longer is closed, before the server closes it."""


class Load(NamedTuple):
    """Requests per second, and the seconds of each request."""

    rate: float
    seconds: list[float]


Request = Callable[[aiohttp.ClientSession, int], Awaitable[None]]


class _Connection(NamedTuple):
    """A connection, and the time of its last use (``time.monotonic``)."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used: float


async def closed_loop(request: Request, connections: int, duration: float) -> Load:
    """Runs a closed loop for some seconds: each connection sends a request when the one before is answered."""
    taken: list[float] = []
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS)
    ) as session:
        numbers = iter(range(1_000_000_000))
        begun = time.perf_counter()

        async def connection() -> None:
            while (sent := time.perf_counter()) - begun < duration:
                await request(session, next(numbers))
                taken.append(time.perf_counter() - sent)

        await asyncio.gather(*(connection() for _ in range(connections)))
        elapsed = time.perf_counter() - begun
    return Load(len(taken) / elapsed, taken)


async def bare_loop(ports: Sequence[int], path: Callable[[int], str], connections: int, duration: float) -> Load:
    """Runs a ``closed_loop`` of GET requests by a minimal client, so that the server gets most of the machine.

    Connections are spread evenly over the ports of this machine. Every answer must have status 200.
    """
    taken: list[float] = []
    numbers = iter(range(1_000_000_000))
    begun = time.perf_counter()

    async def connection(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (sent := time.perf_counter()) - begun < duration:
            writer.write(f"GET {path(next(numbers))} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            found = _LENGTH.search(head)
            assert found, head
            assert head.startswith(b"HTTP/1.1 200"), head
            await reader.readexactly(int(found[1]))
            taken.append(time.perf_counter() - sent)
        writer.close()

    await asyncio.gather(*(connection(ports[number % len(ports)]) for number in range(connections)))
    return Load(len(taken) / (time.perf_counter() - begun), taken)


class Lean:
    """A minimal HTTP client for processes of this machine. It opens as many connections as it needs."""

    def __init__(self) -> None:
        self._idle: dict[int, list[_Connection]] = {}

    async def ask(self, port: int, head: str, body: bytes = b"") -> tuple[int, bytes]:
        """Sends a request line with headers (each line ended) and an optional JSON body. Returns status and body of the answer.

        Raises OSError or asyncio.IncompleteReadError if the connection breaks.
        """
        reader, writer = await self._connection(port)
        told = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        writer.write(f"{head}Host: localhost\r\n{told}\r\n".encode() + body)
        answered = await reader.readuntil(b"\r\n\r\n")
        found = _LENGTH.search(answered)
        assert found, answered
        body = await reader.readexactly(int(found[1]))
        self._idle.setdefault(port, []).append(_Connection(reader, writer, time.monotonic()))
        return int(answered[9:12]), body

    def close(self) -> None:
        """Close all connections."""
        for port in self._idle:
            self._close(port)

    async def _connection(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Returns the last used connection, or a new one if that was idle for too long."""
        idle = self._idle.get(port)
        if idle and time.monotonic() - idle[-1].used > _IDLE_SECONDS:
            self._close(port)
        return idle.pop()[:2] if idle else await asyncio.open_connection("127.0.0.1", port)

    def _close(self, port: int) -> None:
        idle = self._idle[port]
        while idle:
            idle.pop().writer.close()


async def open_loop(request: Callable[[int, float], Awaitable[None]], rate: float, duration: float) -> None:
    """Runs an open loop: each request starts at its intended time, even if earlier ones are not answered.

    ``request`` takes the intended time (``time.perf_counter``), so that a delay before sending counts as latency.
    """
    async with asyncio.TaskGroup() as group:
        begun = time.perf_counter() + 0.1
        for number in range(int(rate * duration)):
            intended = begun + number / rate
            if (ahead := intended - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            group.create_task(request(number, intended))
