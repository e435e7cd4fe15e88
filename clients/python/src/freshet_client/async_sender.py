"""Sends events in batches from a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Any

from freshet_client.backoff import backoff
from freshet_client.errors import Closed
from freshet_client.outbox import Counts, Outbox
from freshet_client.sender import LOG, Reply, SenderOptions, report, report_lost, with_id_and_time


class AsyncEventSender:
    """A queue of events, and the task that sends them. For one event loop, which must run when it is closed."""

    def __init__(self, post: Callable[[bytes], Awaitable[Reply]], options: SenderOptions) -> None:
        self._post, self._options = post, options
        self._outbox = Outbox(options.max_queued, options.max_batch)
        self._changed = asyncio.Condition()
        self._due = asyncio.Event()
        """Set when the task is to send at once: a batch is full, or somebody waits for it."""
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def track(self, event: Mapping[str, Any]) -> str:
        """Takes an event, and returns its id at once. Raises QueueFull, Closed, or ValueError if it is no JSON."""
        if self._closing:
            raise Closed("the client is closed; the event was not taken")
        complete = with_id_and_time(event)
        self._outbox.add(complete)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="freshet-events")
        if self._outbox.has_batch():
            self._due.set()
        return str(complete["event_id"])

    async def flush(self, seconds: float = 10.0) -> bool:
        """Sends what waits. True if all of it was accepted or refused within these seconds."""
        self._due.set()
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: len(self._outbox) == 0)
        except TimeoutError:
            return False
        return True

    def counts(self) -> Counts:
        """What has become of the events so far."""
        return self._outbox.counts()

    async def close(self) -> None:
        """Sends what waits within ``close_seconds``, and ends the task. What is left then is logged, and in ``counts``."""
        if self._closing:
            return
        self._closing = True
        await self.flush(self._options.close_seconds)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        report_lost(len(self._outbox))

    async def _run(self) -> None:
        """Sends until nothing waits."""
        random, attempt = Random(), 0  # noqa: S311 - jitter is no secret
        while len(self._outbox):
            await self._wait(self._options.flush_seconds)
            reply, before = await self._answer(self._outbox.take()), len(self._outbox)
            refused = self._outbox.settle(reply.status, reply.body)
            attempt = 0 if len(self._outbox) < before else attempt + 1
            report(refused, self._options)
            async with self._changed:
                self._changed.notify_all()
            if attempt:
                await asyncio.sleep(backoff(attempt - 1, random, reply.retry_after))
        self._due.clear()

    async def _wait(self, seconds: float) -> None:
        """Waits for a full batch, or until somebody wants the events to be sent."""
        if self._outbox.has_batch() or self._closing:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._due.wait()
        except TimeoutError:
            return

    async def _answer(self, body: bytes) -> Reply:
        try:
            return await self._post(body)
        except Exception:  # noqa: BLE001 - logged; see below
            # The task must live: the events of a batch that failed wait for the next try.
            LOG.exception("a batch of events failed")
            return Reply(None)
