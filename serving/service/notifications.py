"""``GET /v1/users/{id}/notifications``: says when a new model has really changed a person's list, as server-sent events.

The one watcher of the model store wakes all streams; a stream asks no store by itself until then. An event's ``id``
holds the version and short hashes of the list, so that any process can tell a client that comes back whether its list
has changed meanwhile.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
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
_TURN: Final = 32
"""Streams that are compared before other requests have their turn."""

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
    """One client's connection: what it is still to be sent."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self.waiting: asyncio.Queue[bytes | None] = asyncio.Queue()


class Notifications:
    """All open streams of a process; used from its event loop alone."""

    def __init__(
        self, lists_of: ListsOf, clock: Clock, models: ModelBundle, limit: int, heartbeat: float = HEARTBEAT_SECONDS
    ) -> None:
        self._lists_of, self._clock, self._models = lists_of, clock, models
        self._limit, self._heartbeat = limit, heartbeat
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

    def open(self, user_id: str, last_event_id: str | None) -> AsyncIterator[bytes]:
        """A stream's bytes, until the client or this process goes; raises ProblemError where there are too many."""
        if self._closed or len(self._streams) >= self._limit:
            raise ProblemError(
                503, "too-many-streams", f"This process holds its {self._limit} streams already; try again in a minute."
            )
        stream = _Stream(user_id)
        self._streams.add(stream)
        metrics.NOTIFICATION_STREAMS.set(len(self._streams))
        return self._run(stream, last_event_id)

    def close(self) -> None:
        """End every stream, so that the server can stop at once; take no new ones."""
        self._closed = True
        for stream in self._streams:
            stream.waiting.put_nowait(None)
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
            self._streams.discard(stream)
            metrics.NOTIFICATION_STREAMS.set(len(self._streams))

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
        for number, stream in enumerate(list(self._streams)):
            if number % _TURN == 0:
                await asyncio.sleep(0)
            # The same signals for both: what the person has done meanwhile is no news of the model's.
            old, items = await self._lists_of(stream.user_id, COUNT, [before, after])
            new = Seen.of(after.version, items)
            changed = Seen.of(before.version, old).differs(new)
            stream.waiting.put_nowait(self._event(new, changed) if changed else _position(new))

    def _event(self, now: Seen, changed: int) -> bytes:
        metrics.NOTIFICATIONS.inc()
        at = datetime.fromtimestamp(self._clock(), UTC)
        data = msgspec.json.encode(Changed(model_version=now.version, changed=changed, generated_at=at))
        return f"event: recommendations\nid: {now}\ndata: {data.decode()}\n\n".encode()


def _position(now: Seen) -> bytes:
    """Moves the client's Last-Event-ID on without an event: a block without data is none."""
    return f"id: {now}\n\n".encode()
