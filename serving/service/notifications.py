"""``GET /v1/users/{id}/notifications``: says when a new model has really changed a person's list, as server-sent events.

The one watcher of the model store wakes all streams; a stream asks no store by itself until then. An event's ``id``
holds the version and short hashes of the list, so that any process can tell a client that comes back whether its list
has changed meanwhile.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import weakref
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol
from zlib import crc32

import msgspec
import structlog

from schemas.http.problems import ProblemError
from schemas.ports import Clock
from serving import metrics
from serving.state.model_bundle import ModelBundle

COUNT: Final = 20
"""Items of a list that are compared: what an answer shows by default."""
HEARTBEAT_SECONDS: Final = 15.0
"""Pause between comments that keep proxies from closing a quiet stream."""
RETRY_MS: Final = 3_000
_WAITING: Final = 16
"""Most messages that wait for a slow client; older ones are dropped, because the newest says where the list is now."""
_RETRY: Final = {"Retry-After": "60"}

_log = structlog.get_logger(__name__)


class ListsOf(Protocol):
    """What a person's list would be."""

    async def __call__(self, user_id: str, count: int, versions: Sequence[ModelBundle]) -> list[list[str]]:
        """The best item ids by each of these models and what the person has done until now; never raises."""


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """The data of an event."""

    model_version: str
    changed: int
    """How many places of the first COUNT hold another item."""
    generated_at: datetime


class Seen(NamedTuple):
    """The list that a client last received: its version, and a hash of each item."""

    version: str
    hashes: tuple[int, ...]

    def __str__(self) -> str:
        packed = b"".join(each.to_bytes(4, "big") for each in self.hashes)
        return f"{self.version}.{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"

    @classmethod
    def of(cls, version: str | None, items: Sequence[str]) -> Seen:
        """Of a list as it is now."""
        return cls(version or "none", tuple(crc32(item_id.encode()) for item_id in items))

    @classmethod
    def parse(cls, text: str) -> Seen | None:
        """From an event's id; None where it is none of ours."""
        version, _, packed = text.rpartition(".")
        try:
            raw = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
        except (binascii.Error, ValueError):
            return None
        if not version or len(raw) % 4:
            return None
        return cls(version, tuple(int.from_bytes(raw[at : at + 4], "big") for at in range(0, len(raw), 4)))

    def differs(self, other: Seen) -> int:
        """In how many places the two lists are not the same."""
        longest = max(len(self.hashes), len(other.hashes))
        one, two = (each + (-1,) * (longest - len(each)) for each in (self.hashes, other.hashes))
        return sum(a != b for a, b in zip(one, two, strict=True))


class _Stream:
    """One connection: its user, the client's address, and the messages that wait to be sent."""

    def __init__(self, user_id: str, client: str) -> None:
        self.user_id, self.client = user_id, client
        self.waiting: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING)

    def put(self, message: bytes | None) -> None:
        """Queue a message; None ends the stream."""
        if self.waiting.full():
            self.waiting.get_nowait()
        self.waiting.put_nowait(message)


class StreamLimits(NamedTuple):
    """The largest numbers of open streams."""

    all: int
    client: int
    """Of one client, by its address."""


class Notifications:
    """All open streams of a process; used from its event loop alone."""

    def __init__(
        self,
        lists_of: ListsOf,
        clock: Clock,
        models: ModelBundle,
        limits: StreamLimits,
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._lists_of, self._clock, self._models = lists_of, clock, models
        self._limits, self._heartbeat = limits, heartbeat
        self._streams: set[_Stream] = set()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def model_changed(self, models: ModelBundle) -> None:
        """Another version is served from now on: compare every open stream's list, in the background."""
        before, self._models = self._models, models
        if before.version == models.version or not self._streams:
            return
        following = self._task
        self._task = asyncio.get_running_loop().create_task(self._compare(before, models, following))

    def open(self, user_id: str, last_event_id: str | None, client: str = "") -> AsyncIterator[bytes]:
        """A stream's bytes, until the client or this process goes; raises ProblemError where there are too many."""
        self._check_room(client)
        stream = _Stream(user_id, client)
        self._streams.add(stream)
        metrics.NOTIFICATION_STREAMS.set(len(self._streams))
        messages = self._run(stream, last_event_id)
        # A client that goes before the first message leaves a generator that never began, and so never ends.
        weakref.finalize(messages, self._ended, stream)
        return messages

    def _check_room(self, client: str) -> None:
        if self._closed or len(self._streams) >= self._limits.all:
            detail = f"This process holds its {self._limits.all} streams already; try again in a minute."
            raise ProblemError(503, "too-many-streams", detail, headers=_RETRY)
        if sum(stream.client == client for stream in self._streams) >= self._limits.client:
            detail = f"This client has {self._limits.client} streams open already; close one, or try again in a minute."
            raise ProblemError(429, "too-many-streams", detail, headers=_RETRY)

    def _ended(self, stream: _Stream) -> None:
        self._streams.discard(stream)
        metrics.NOTIFICATION_STREAMS.set(len(self._streams))

    def close(self) -> None:
        """End every stream, so that the server can stop at once; take no new ones."""
        self._closed = True
        for stream in self._streams:
            stream.put(None)
        if self._task is not None:
            self._task.cancel()

    async def _run(self, stream: _Stream, last_event_id: str | None) -> AsyncIterator[bytes]:
        try:
            yield f"retry: {RETRY_MS}\n".encode() + await self._greeting(stream.user_id, last_event_id)
            while True:
                try:
                    message = await asyncio.wait_for(stream.waiting.get(), self._heartbeat)
                except TimeoutError:
                    message = b": still here\n\n"
                if message is None:
                    return
                yield message
        finally:
            self._ended(stream)

    async def _greeting(self, user_id: str, last_event_id: str | None) -> bytes:
        """The first message to a client that connects: whether its list has changed since the last one it received."""
        models = self._models
        [items] = await self._lists_of(user_id, COUNT, [models])
        now = Seen.of(models.version, items)
        before = Seen.parse(last_event_id) if last_event_id else None
        if before is None or before.version == now.version or not before.differs(now):
            return _position(now)
        return self._event(now, before.differs(now))

    async def _compare(self, before: ModelBundle, after: ModelBundle, following: asyncio.Task[None] | None) -> None:
        if following is not None:
            await asyncio.wait([following])  # messages follow the order of the versions
        for stream in list(self._streams):
            # Two lists are ranked for each stream: other requests have their turn in between.
            await asyncio.sleep(0)
            # The same signals for both: what the person has done meanwhile is no news of the model's.
            old, items = await self._lists_of(stream.user_id, COUNT, [before, after])
            new = Seen.of(after.version, items)
            changed = Seen.of(before.version, old).differs(new)
            stream.put(self._event(new, changed) if changed else _position(new))

    def _event(self, now: Seen, changed: int) -> bytes:
        metrics.NOTIFICATIONS.inc()
        at = datetime.fromtimestamp(self._clock(), UTC)
        data = msgspec.json.encode(Changed(model_version=now.version, changed=changed, generated_at=at))
        return f"event: recommendations\nid: {now}\ndata: {data.decode()}\n\n".encode()


def _position(now: Seen) -> bytes:
    """Moves the client's Last-Event-ID on without an event: a block without data is none."""
    return f"id: {now}\n\n".encode()
