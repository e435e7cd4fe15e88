"""Bounds of connections, around uvicorn's protocol: how many there are, and how long a client may take.

uvicorn closes a connection that is idle after an answer. It waits for ever for the first request, for the rest of a request,
and for a client that does not read its answer. Here each of these has a deadline. One sweep a second closes what is over it,
so that a request costs two assignments, and no timer.
"""

from __future__ import annotations

import asyncio
import ipaddress
import resource
import socket
from collections import defaultdict
from typing import ClassVar, Final, cast

from prometheus_client import Counter, Gauge
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from schemas.http.connection_settings import ConnectionSettings
from schemas.http.problems import MEDIA_TYPE, ProblemError

CONNECTIONS: Final = Gauge("freshet_http_connections", "Open connections of an HTTP process.")
REFUSED: Final = Counter(
    "freshet_http_connections_refused_total",
    "Connections refused at once, by reason: client (too many of one address), all (too many, each with a request).",
    ("reason",),
)
CLOSED: Final = Counter(
    "freshet_http_connections_closed_total",
    "Connections closed before their time, by reason: idle, header or body (the client took too long), answer (not read),"
    " head (too large), room (a newer connection needed the place).",
    ("reason",),
)

MAX_HEAD_BYTES: Final = 131_072
"""Most bytes of a request's line and headers."""
MAX_UNWANTED_BYTES: Final = 16_777_216
"""Most bytes of a body that are read after its answer, so that a client which sends first and reads then gets the answer."""
BYTES_PER_SECOND: Final = 65_536
"""A body that comes this fast is never late."""
_SWEEP_SECONDS: Final = 1.0
_EVICTED_SHARE: Final = 0.02
"""Share of all connections that are closed at once for want of room: finding the quietest takes a look at each."""
_KEPT_FILES: Final = 128
_TITLES: Final = {408: "Request Timeout", 429: "Too Many Requests", 431: "Request Header Fields Too Large"}


def raise_file_limit() -> int:
    """Raises the soft limit of open files to the hard one, and returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1_048_576


class ConnectionLimits:
    """The connections of one server, counted by client; for its event loop."""

    def __init__(self, settings: ConnectionSettings, files: int) -> None:
        self.total = max(1, min(settings.connections, files - max(_KEPT_FILES, files // 4)))
        self.per_client = max(1, min(settings.connections_per_client, self.total // 2))
        self.header_seconds, self.body_seconds = settings.header_seconds, settings.body_seconds
        self.open: set[BoundedProtocol] = set()
        self._clients: dict[str, set[BoundedProtocol]] = defaultdict(set)
        self.now = 0.0
        """The loop's time, at most a sweep ago; so a deadline may be that much early."""
        self._sweeping = False

    def enter(self, connection: BoundedProtocol) -> ProblemError | None:
        """Counts a new connection, and makes room for it; returns why there is none for it."""
        if not self._sweeping:
            self._sweeping = True
            connection.loop.call_later(_SWEEP_SECONDS, self._sweep, connection.loop)
        of_client = self._clients[connection.client_key]
        if len(of_client) >= self.per_client and not self._make_room(of_client):
            return _refusal("client", 429, f"This address has {self.per_client:,} connections open; close some.")
        if len(self.open) >= self.total and not self._make_room(self.open):
            return _refusal("all", 503, f"This process holds its {self.total:,} connections; try again in a second.")
        self.open.add(connection)
        of_client.add(connection)
        CONNECTIONS.set(len(self.open))
        return None

    def leave(self, connection: BoundedProtocol) -> None:
        """Forgets a connection that has ended; one that was refused is not known."""
        if connection not in self.open:
            return
        self.open.discard(connection)
        of_client = self._clients[connection.client_key]
        of_client.discard(connection)
        if not of_client:
            del self._clients[connection.client_key]
        CONNECTIONS.set(len(self.open))

    def _make_room(self, among: set[BoundedProtocol]) -> bool:
        """Closes the quietest connections that wait for their client; returns False if all are being answered."""
        waiting = sorted((one for one in among if one.waits_for_client()), key=lambda one: one.heard_at)
        for connection in waiting[: max(1, int(len(among) * _EVICTED_SHARE))]:
            self.leave(connection)
            connection.end("room")
        return bool(waiting)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = now = loop.time()
        for connection in list(self.open):
            connection.close_if_late(now)
        loop.call_later(_SWEEP_SECONDS, self._sweep, loop)


def _refusal(reason: str, status: int, detail: str) -> ProblemError:
    REFUSED.labels(reason).inc()
    return ProblemError(status, "too-many-connections", detail, headers={"Retry-After": "1"})


class BoundedProtocol(HttpToolsProtocol):
    """A connection whose client has deadlines. ``protocol_of`` makes a class of it for each server."""

    limits: ClassVar[ConnectionLimits]
    late_at: float = 0.0
    """When the client is late with what is awaited from it; 0 if nothing is."""
    heard_at: float = 0.0
    """When it last sent something, or connected."""
    awaited: str = "idle"
    client_key: str = ""
    _refused: bool = False
    _head_bytes: int = 0
    _unwanted_bytes: int = 0
    _unread_at: float = 0.0
    """When the client is late with reading its answer; 0 if it reads."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes a connection, or answers that there is no room for it."""
        super().connection_made(transport)
        self.client_key = _client_key(self.client[0] if self.client else "")
        self.heard_at = self.limits.now = self.loop.time()
        self.late_at = self.heard_at + self.limits.header_seconds
        _detect_dead_clients(transport, self.limits.body_seconds)
        if (refusal := self.limits.enter(self)) is not None:
            self._answer(refusal)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self.limits.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads a part of a request."""
        if self._refused:
            return
        if not self.late_at and not ((cycle := self.cycle) and not cycle.response_complete):
            # The first bytes after an answer. They end uvicorn's time-out, even if they begin no request.
            self.heard_at = self.limits.now
            self.late_at = self.limits.now + self.limits.header_seconds
        HttpToolsProtocol.data_received(self, data)
        if self.awaited == "header":
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                CLOSED.labels("head").inc()
                detail = f"The head of a request has at most {MAX_HEAD_BYTES:,} bytes."
                self._answer(ProblemError(431, "too-large", detail))

    # Called for every request, so they call uvicorn's methods without ``super``, and read a clock that ticks with the sweep.

    def on_message_begin(self) -> None:
        """A request begins."""
        self.awaited, self._head_bytes = "header", 0
        self.late_at = self.late_at or self.limits.now + self.limits.header_seconds
        HttpToolsProtocol.on_message_begin(self)

    def on_headers_complete(self) -> None:
        """The head of a request is there; its body has its own time."""
        self.awaited, self.late_at = "body", self.limits.now + self.limits.body_seconds
        HttpToolsProtocol.on_headers_complete(self)

    def on_body(self, body: bytes) -> None:
        """A part of a body is there. It earns more time, unless it is answered already: then some of it is ignored."""
        if not self.cycle.response_complete:
            self.late_at += len(body) / BYTES_PER_SECOND
            HttpToolsProtocol.on_body(self, body)
        elif self._unwanted_bytes <= MAX_UNWANTED_BYTES:
            self._unwanted_bytes += len(body)
        elif not self.transport.is_closing():
            self.end("body")

    def on_message_complete(self) -> None:
        """A whole request is there: nothing is awaited from the client."""
        self.awaited, self.late_at = "idle", 0.0
        HttpToolsProtocol.on_message_complete(self)

    def pause_writing(self) -> None:
        """The client does not read its answer as fast as it comes."""
        self._unread_at = self.loop.time() + self.limits.body_seconds
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._unread_at = 0.0
        super().resume_writing()

    def waits_for_client(self) -> bool:
        """True if no whole request of this connection is being answered."""
        return not self._is_answering() or self.awaited == "body"

    def close_if_late(self, now: float) -> None:
        """Closes the connection if its client is late with a request, or with reading its answer."""
        if self._unread_at and now > self._unread_at:
            self.end("answer")
        elif self.late_at and now > self.late_at and not self.flow.read_paused:
            self.end(self.awaited)

    def end(self, reason: str) -> None:
        """Closes the connection; a request that has begun, and has no answer yet, is answered 408."""
        CLOSED.labels(reason).inc()
        if reason in {"header", "body"} and not (self.cycle is not None and self.cycle.response_started):
            self._answer(
                ProblemError(408, "too-slow", f"The {reason} of the request did not come in time; send it again.")
            )
        else:
            self.transport.abort()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _answer(self, problem: ProblemError) -> None:
        """Sends a problem that no application answers, and closes the connection."""
        self._refused, body = True, problem.body()
        lines = [f"HTTP/1.1 {problem.status} {_TITLES.get(problem.status, 'Service Unavailable')}"]
        headers = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), "connection": "close"}
        lines += [f"{name}: {value}" for name, value in (headers | (problem.headers or {})).items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self.transport.close()
        if self.cycle is not None:
            # The application, which may wait for the rest of the body, learns that the client is gone.
            self.cycle.disconnected = True
            self.cycle.message_event.set()


def _client_key(host: str) -> str:
    """The address that a client is counted by: of IPv6 its network, because one client has all of its addresses."""
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host.partition("%")[0])
    return str(address.ipv4_mapped or address.packed[:8].hex())


def _detect_dead_clients(transport: asyncio.Transport, seconds: float) -> None:
    """Lets the system end a connection whose client is gone without a word."""
    connection = transport.get_extra_info("socket")
    if connection is None or connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_USER_TIMEOUT", int(seconds * 1_000)), ("TCP_KEEPIDLE", max(1, int(seconds)))):
        # Not every system has them.
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def protocol_of(limits: ConnectionLimits) -> type[asyncio.Protocol]:
    """Returns the protocol of a server with these limits."""
    return cast("type[asyncio.Protocol]", type("LimitedProtocol", (BoundedProtocol,), {"limits": limits}))
