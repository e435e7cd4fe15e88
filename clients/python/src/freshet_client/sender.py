"""Sends events in batches from a thread of its own."""

from __future__ import annotations

import atexit
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any, Final, NamedTuple

from freshet_client.backoff import backoff
from freshet_client.errors import Closed
from freshet_client.outbox import Counts, Outbox, Refused

LOG: Final = logging.getLogger("freshet_client")


class Reply(NamedTuple):
    """The answer to a batch; ``status`` is None if none came."""

    status: int | None
    body: Any = None
    retry_after: float | None = None


class SenderOptions(NamedTuple):
    """How events are sent."""

    max_queued: int = 10_000
    """Most events that wait; ``track`` raises QueueFull beyond."""
    max_batch: int = 500
    """Most events in one request; the site takes 2,000."""
    flush_seconds: float = 0.5
    """Longest wait of an event for others, while the site answers."""
    close_seconds: float = 5.0
    """Longest wait for the site when the client is closed, or the program ends."""
    on_refused: Callable[[Refused], None] | None = None
    """Called for each event that the site refused for good; the log says it anyway."""


def with_id_and_time(event: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the event with an id, so that it counts once however often it is sent, and with the time of now if it has none."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    complete = {"event_id": str(uuid.uuid4()), "occurred_at": now}
    return complete | {name: value for name, value in event.items() if value is not None}


def report(refused: list[Refused], options: SenderOptions) -> None:
    """Says which events were refused."""
    for each in refused:
        LOG.warning("event %s was refused: %s", each.event.get("event_id"), each.reason.get("detail", each.reason))
        if options.on_refused is not None:
            try:
                options.on_refused(each)
            except Exception:
                LOG.exception("on_refused failed")


def report_lost(waiting: int) -> None:
    """Says how many events the site has not confirmed when the client ends."""
    if waiting:
        LOG.error("%s events were not confirmed before the client ended", waiting)


class EventSender:
    """A queue of events, and the thread that sends them. For any number of threads."""

    def __init__(self, post: Callable[[bytes], Reply], options: SenderOptions) -> None:
        self._post, self._options = post, options
        self._outbox = Outbox(options.max_queued, options.max_batch)
        self._changed = threading.Condition()
        self._urgent = self._closing = False
        self._deadline = float("inf")
        self._thread: threading.Thread | None = None
        atexit.register(self.close)

    def track(self, event: Mapping[str, Any]) -> str:
        """Takes an event, and returns its id at once. Raises QueueFull, Closed, or ValueError if it is no JSON."""
        complete = with_id_and_time(event)
        with self._changed:
            if self._closing:
                raise Closed("the client is closed; the event was not taken")
            self._outbox.add(complete)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="freshet-events", daemon=True)
                self._thread.start()
            if len(self._outbox) == 1 or self._outbox.has_batch():
                self._changed.notify_all()
        return str(complete["event_id"])

    def flush(self, seconds: float = 10.0) -> bool:
        """Sends what waits. True if all of it was accepted or refused within these seconds."""
        with self._changed:
            self._urgent = len(self._outbox) > 0
            self._changed.notify_all()
            return self._changed.wait_for(lambda: len(self._outbox) == 0, seconds)

    def counts(self) -> Counts:
        """What has become of the events so far."""
        with self._changed:
            return self._outbox.counts()

    def close(self) -> None:
        """Sends what waits within ``close_seconds``, and ends the thread. What is left then is logged, and in ``counts``."""
        atexit.unregister(self.close)
        with self._changed:
            if self._closing:
                return
            self._closing, self._deadline = True, time.monotonic() + self._options.close_seconds
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(self._options.close_seconds + 1.0)
        report_lost(self.counts().waiting)

    def _run(self) -> None:
        random, attempt = Random(), 0  # noqa: S311 - jitter is no secret
        while (body := self._next()) is not None:
            reply = self._answer(body)
            with self._changed:
                before = len(self._outbox)
                refused = self._outbox.settle(reply.status, reply.body)
                attempt = 0 if len(self._outbox) < before else attempt + 1
                self._urgent = self._urgent and len(self._outbox) > 0
                self._changed.notify_all()
            report(refused, self._options)
            if attempt:
                self._pause(backoff(attempt - 1, random, reply.retry_after))

    def _answer(self, body: bytes) -> Reply:
        try:
            return self._post(body)
        except Exception:
            # The thread must live: the events of a batch that failed wait for the next try.
            LOG.exception("a batch of events failed")
            return Reply(None)

    def _next(self) -> bytes | None:
        """The next batch; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._outbox) > 0 or self._closing)
            self._changed.wait_for(self._is_due, self._options.flush_seconds)
            is_over = self._closing and (len(self._outbox) == 0 or time.monotonic() >= self._deadline)
            return None if is_over else self._outbox.take()

    def _is_due(self) -> bool:
        return self._urgent or self._closing or self._outbox.has_batch()

    def _pause(self, seconds: float) -> None:
        with self._changed:
            if self._closing:
                seconds = min(seconds, max(0.0, self._deadline - time.monotonic()))
                self._changed.wait(seconds)
            else:
                self._changed.wait_for(lambda: self._closing, seconds)
