"""Waiting until an event is processed: one read of the fences serves all waiting requests."""

from __future__ import annotations

import asyncio
from functools import partial

from schemas.keys import Signal
from schemas.log.fence import Fence
from schemas.log.records import OffsetToken
from schemas.ports import SignalReader
from serving.stores.breaker import ReadFailed, StoreGuard


class FenceWatch:
    """Polls the fences of the ``users`` signal every ``poll_seconds``, only while a request waits."""

    def __init__(self, reader: SignalReader, guard: StoreGuard, poll_seconds: float) -> None:
        self._reader, self._guard, self._poll_seconds = reader, guard, poll_seconds
        self._waiting: dict[int, list[tuple[int, asyncio.Future[bool]]]] = {}
        self._poller: asyncio.Task[None] | None = None

    async def reached(self, token: OffsetToken, seconds: float) -> bool:
        """True once the event at this offset is processed; False after ``seconds``; raises ReadFailed."""
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(token.partition, []).append((token.offset, waiter))
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            return await asyncio.wait_for(waiter, seconds)
        except TimeoutError:
            return False

    async def _poll(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._poll_seconds)
            try:
                fences = await self._guard.call(partial(self._reader.fences, Signal.USERS, tuple(self._waiting)))
            except ReadFailed as error:
                self._give_up(error)
            else:
                self._release(fences)

    def _release(self, fences: dict[int, Fence]) -> None:
        for partition, waiters in list(self._waiting.items()):
            reached = fences[partition].offset if partition in fences else -1
            for offset, waiter in waiters:
                if offset <= reached and not waiter.done():
                    waiter.set_result(True)
            self._keep(partition, [waiter for waiter in waiters if not waiter[1].done()])

    def _give_up(self, error: ReadFailed) -> None:
        for waiters in self._waiting.values():
            for _, waiter in waiters:
                if not waiter.done():
                    waiter.set_exception(error)
        self._waiting.clear()

    def _keep(self, partition: int, waiters: list[tuple[int, asyncio.Future[bool]]]) -> None:
        if waiters:
            self._waiting[partition] = waiters
        else:
            del self._waiting[partition]
