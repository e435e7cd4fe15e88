"""Reads a user's value from the ``users`` signal, with the values of linked anonymous users, and waits for an event."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from time import perf_counter

import structlog

from schemas.errors import UNREADABLE
from schemas.keys import Signal, anonymous_key, session_key, user_key
from schemas.log.fence import Fence
from schemas.log.records import OffsetToken
from schemas.log.topics import partition_of
from schemas.ports import SignalReader, SignalValues
from serving import metrics
from serving.stores.breaker import ReadFailed, StoreGuard
from serving.stores.fence_watch import FenceWatch
from signals import user_codec
from signals.merge import merge
from signals.users import UserValue

_log = structlog.get_logger(__name__)


@dataclass
class UserState:
    """The values read for one user, and the names of the reads that failed."""

    own: bytes | None = None
    """The user's packed value."""
    anonymous: list[bytes] = field(default_factory=list)
    """The packed values of the anonymous users that are linked to the user."""
    links: tuple[str, ...] = ()
    """Ids of the anonymous users that the user's value names."""
    offset: OffsetToken | None = None
    """The offset of the user's last applied event."""
    inputs: dict[str, bytes] = field(default_factory=dict)
    """The packed values as they were read, by key."""
    degraded: list[str] = field(default_factory=list)
    """Names of the reads that failed, as answers show them."""

    @cached_property
    def value(self) -> UserValue:
        """The user's value merged with those of the anonymous users, unpacked at first use.

        A value that cannot be read is left out, and ``degraded`` says so.
        """
        try:
            return merge(user_codec.decode(self.own), [user_codec.decode(data) for data in self.anonymous])
        except UNREADABLE as error:
            return self.leave_out_unreadable(error)

    def leave_out_unreadable(self, error: Exception) -> UserValue:
        """Drop the values that cannot be read. Returns what the others give."""
        _log.warning("value_unreadable", keys=list(self.inputs), error=str(error))
        self.degraded.append("signals")
        self.inputs = {key: data for key, data in self.inputs.items() if _is_readable(data)}
        self.own = self.own if _is_readable(self.own) else None
        self.anonymous = [data for data in self.anonymous if _is_readable(data)]
        return merge(user_codec.decode(self.own), [user_codec.decode(data) for data in self.anonymous])


def _is_readable(data: bytes | None) -> bool:
    try:
        user_codec.decode(data)
    except UNREADABLE:
        return False
    return True


class UserStateReader:
    """Reads user values within deadlines; ``after_seconds`` is the longest wait for an event."""

    def __init__(
        self, reader: SignalReader, guard: StoreGuard, partitions: int, after_seconds: float, poll_seconds: float
    ) -> None:
        self._reader, self._guard, self._partitions = reader, guard, partitions
        self._after_seconds = after_seconds
        self._watch = FenceWatch(reader, guard, poll_seconds)
        self._reached: dict[int, Fence] = {}
        """The furthest fence that was read of each partition."""

    async def read(self, user_id: str, anonymous_id: str | None = None, after: OffsetToken | None = None) -> UserState:
        """The values of a user; never raises: a failed read is named in ``degraded``."""
        user_state = UserState()
        keys = [user_key(user_id), anonymous_key(user_id), session_key(user_id)]
        partition = self._partition(user_id)
        try:
            if after is None or after.partition != partition:
                if after is not None:
                    await self._wait(after, (), user_state)
                signal_values = await self._values(partition, keys, user_state)
            else:
                signal_values = await self._wait(after, keys, user_state)
            self._take(user_state, partition, keys, signal_values)
            await self._add_anonymous(user_state, user_id, anonymous_id)
        except ReadFailed:
            user_state.degraded.append("signals")
        except UNREADABLE as error:
            user_state.leave_out_unreadable(error)
        return user_state

    def _partition(self, key: str) -> int:
        return partition_of(key.encode(), self._partitions)

    async def _values(self, partition: int, keys: Sequence[str], user_state: UserState) -> SignalValues:
        """Read values. If the fence is behind one that was read before, they are being rebuilt, and ``degraded`` says so."""
        before = self._reached.get(partition)
        signal_values = await self._guard.call(partial(self._reader.read, partition, Signal.USERS, keys))
        fence = signal_values.fence
        if before is None or (fence is not None and (fence.offset >= before.offset or fence.log_id != before.log_id)):
            if fence is not None and fence != before:
                self._reached[partition] = fence
        else:
            user_state.degraded.append("signals")
        return signal_values

    @staticmethod
    def _take(user_state: UserState, partition: int, keys: Sequence[str], signal_values: SignalValues) -> None:
        """Keep the first value that is present: that of the known user, of the anonymous user, or of the session."""
        for key, data in zip(keys, signal_values.values, strict=True):
            if data is not None:
                user_state.inputs[key] = user_state.own = data
                head = user_codec.head(data)
                user_state.links = head.links
                user_state.offset = OffsetToken(partition, head.offset) if head.offset >= 0 else None
                return

    async def _wait(self, after: OffsetToken, keys: Sequence[str], user_state: UserState) -> SignalValues:
        """The values of these keys, read after the event at ``after`` is processed or ``after_seconds`` have passed."""
        began = perf_counter()
        try:
            signal_values = await self._values(after.partition, keys, user_state)
            reached = signal_values.fence is not None and signal_values.fence.offset >= after.offset
            if not reached:
                reached = await self._watch.reached(after, self._after_seconds)
                signal_values = await self._values(after.partition, keys, user_state)
        except ReadFailed:
            user_state.degraded.append("after")
            raise
        metrics.AFTER_WAIT_SECONDS.observe(perf_counter() - began)
        if not reached:
            user_state.degraded.append("after")
        return signal_values

    async def _add_anonymous(self, user_state: UserState, user_id: str, anonymous_id: str | None) -> None:
        """Add the values of the linked anonymous users; a failed read only degrades the answer."""
        requested = (anonymous_id,) if anonymous_id is not None else ()
        anonymous_ids = [
            linked_id for linked_id in dict.fromkeys((*user_state.links, *requested)) if linked_id != user_id
        ]
        if not anonymous_ids:
            return
        keys = [anonymous_key(linked_id) for linked_id in anonymous_ids]
        reads = (
            self._values(self._partition(linked_id), (key,), user_state)
            for linked_id, key in zip(anonymous_ids, keys, strict=True)
        )
        answers = await asyncio.gather(*reads, return_exceptions=True)
        present: dict[str, bytes] = {}
        for key, answer in zip(keys, answers, strict=True):
            if isinstance(answer, SignalValues):
                if (data := answer.values[0]) is not None:
                    present[key] = data
            elif isinstance(answer, ReadFailed):
                user_state.degraded.append("links")
            else:
                raise answer
        user_state.inputs |= present
        user_state.anonymous = list(present.values())
