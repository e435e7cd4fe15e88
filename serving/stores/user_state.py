"""Reading a person's value from the ``users`` signal, with the guests that the person was, and waiting for an event."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from time import perf_counter

from schemas.keys import Signal, anonymous_key, session_key, user_key
from schemas.log.records import OffsetToken
from schemas.log.topics import partition_of
from schemas.ports import SignalReader, SignalValues
from serving import metrics
from serving.stores.breaker import Guard, SourceDown
from serving.stores.fence_watch import FenceWatch
from signals import users
from signals.merge import merge
from signals.users import UserValue


@dataclass
class UserState:
    """What was read of one person, and what could not be."""

    own: bytes | None = None
    """The person's packed value."""
    guests: list[bytes] = field(default_factory=list)
    """The packed values of the guests that the person was."""
    links: tuple[str, ...] = ()
    """The guests that the person's value names."""
    offset: OffsetToken | None = None
    """Where the person's last applied event stands."""
    inputs: dict[str, bytes] = field(default_factory=dict)
    """The packed values as they were read, by key."""
    degraded: list[str] = field(default_factory=list)

    @cached_property
    def value(self) -> UserValue:
        """The person's value with the guests' merged in, unpacked when first asked for."""
        return merge(users.decode(self.own), [users.decode(data) for data in self.guests])


class UserStateReader:
    """Reads within deadlines; ``after_seconds`` is the longest wait for an event."""

    def __init__(
        self, reader: SignalReader, guard: Guard, partitions: int, after_seconds: float, poll_seconds: float
    ) -> None:
        self._reader, self._guard, self._partitions = reader, guard, partitions
        self._after_seconds = after_seconds
        self._watch = FenceWatch(reader, guard, poll_seconds)

    async def read(self, user_id: str, anonymous_id: str | None = None, after: OffsetToken | None = None) -> UserState:
        """The person's value; never raises: what could not be read is in ``degraded``."""
        user_state = UserState()
        keys = [user_key(user_id), anonymous_key(user_id), session_key(user_id)]
        partition = self._partition(user_id)
        try:
            if after is None or after.partition != partition:
                if after is not None:
                    await self._wait(after, (), user_state)
                found = await self._values(partition, keys)
            else:
                found = await self._wait(after, keys, user_state)
            self._take(user_state, partition, keys, found)
            await self._add_guests(user_state, user_id, anonymous_id)
        except SourceDown:
            user_state.degraded.append("signals")
        return user_state

    def _partition(self, key: str) -> int:
        return partition_of(key.encode(), self._partitions)

    async def _values(self, partition: int, keys: Sequence[str]) -> SignalValues:
        return await self._guard.call(partial(self._reader.read, partition, Signal.USERS, keys))

    @staticmethod
    def _take(user_state: UserState, partition: int, keys: Sequence[str], found: SignalValues) -> None:
        """A guest's value counts only where there is none of a known user."""
        for key, data in zip(keys, found.values, strict=True):
            if data is not None:
                user_state.inputs[key] = user_state.own = data
                head = users.head(data)
                user_state.links = head.links
                user_state.offset = OffsetToken(partition, head.offset) if head.offset >= 0 else None
                return

    async def _wait(self, after: OffsetToken, keys: Sequence[str], user_state: UserState) -> SignalValues:
        """These values, once the fence of the event's partition has reached it or the time is up."""
        began = perf_counter()
        try:
            found = await self._values(after.partition, keys)
            reached = found.fence is not None and found.fence.offset >= after.offset
            if not reached:
                reached = await self._watch.reached(after, self._after_seconds)
                found = await self._values(after.partition, keys)
        except SourceDown:
            user_state.degraded.append("after")
            raise
        metrics.AFTER_WAIT_SECONDS.observe(perf_counter() - began)
        if not reached:
            user_state.degraded.append("after")
        return found

    async def _add_guests(self, user_state: UserState, user_id: str, anonymous_id: str | None) -> None:
        """Merge the linked guests' values in; without them the answer is only degraded."""
        named = (anonymous_id,) if anonymous_id is not None else ()
        guests = [guest for guest in dict.fromkeys((*user_state.links, *named)) if guest != user_id]
        if not guests:
            return
        keys = [anonymous_key(guest) for guest in guests]
        reads = (self._values(self._partition(guest), (key,)) for guest, key in zip(guests, keys, strict=True))
        found = await asyncio.gather(*reads, return_exceptions=True)
        present: dict[str, bytes] = {}
        for key, answer in zip(keys, found, strict=True):
            if isinstance(answer, SignalValues):
                if (data := answer.values[0]) is not None:
                    present[key] = data
            elif isinstance(answer, SourceDown):
                user_state.degraded = ["links"]
            else:
                raise answer
        user_state.inputs |= present
        user_state.guests = list(present.values())
