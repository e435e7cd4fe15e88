"""HTTP load from one event loop: closed loop over so many connections, or open loop at a fixed rate."""

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
"""A connection that was not used for longer is let go of, before the server does it."""


class Load(NamedTuple):
    """Requests a second, and each request's seconds."""

    rate: float
    seconds: list[float]


Request = Callable[[aiohttp.ClientSession, int], Awaitable[None]]


class _Connection(NamedTuple):
    """A connection, and when it was used last (``time.monotonic``)."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used: float


async def closed_loop(request: Request, connections: int, duration: float) -> Load:
    """Each connection sends its next request when the last is answered, for so many seconds."""
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
    """``closed_loop`` of GETs alone by a client that does next to nothing, so that the server has the machine.

    Connections are dealt out to the ports of this machine; every answer has to be a 200.
    """
    taken: list[float] = []
    numbers = iter(range(1_000_000_000))
    begun = time.perf_counter()

    async def connection(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (sent := time.perf_counter()) - begun < duration:
            writer.write(f"GET {path(next(numbers))} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
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
    """HTTP to processes of this machine by a client that does next to nothing, on as many connections as it takes."""

    def __init__(self) -> None:
        self._idle: dict[int, list[_Connection]] = {}

    async def ask(self, port: int, head: str, body: bytes = b"") -> tuple[int, bytes]:
        """The status and body that answer a request line with headers (each line ended), and a JSON body where there is one.

        Raises OSError or asyncio.IncompleteReadError where the connection breaks.
        """
        reader, writer = await self._connection(port)
        told = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        writer.write(f"{head}Host: bench\r\n{told}\r\n".encode() + body)
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
        """The connection used last, or a new one where even that was idle for too long."""
        idle = self._idle.get(port)
        if idle and time.monotonic() - idle[-1].used > _IDLE_SECONDS:
            self._close(port)
        return idle.pop()[:2] if idle else await asyncio.open_connection("127.0.0.1", port)

    def _close(self, port: int) -> None:
        idle = self._idle[port]
        while idle:
            idle.pop().writer.close()


async def open_loop(request: Callable[[int, float], Awaitable[None]], rate: float, duration: float) -> None:
    """Start requests at their intended times, whether or not earlier ones were answered.

    ``request`` is handed the intended time (``time.perf_counter``), so that waiting to be sent counts as latency.
    """
    async with asyncio.TaskGroup() as group:
        begun = time.perf_counter() + 0.1
        for number in range(int(rate * duration)):
            intended = begun + number / rate
            if (ahead := intended - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            group.create_task(request(number, intended))
