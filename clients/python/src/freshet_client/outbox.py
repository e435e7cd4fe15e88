"""The queue of events that are to be sent: bounded, in order, each event kept until the site accepts or refuses it.

No clock, thread or connection is here; ``sender`` and ``async_sender`` have them.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from freshet_client.backoff import RETRIED
from freshet_client.errors import QueueFull

MAX_BATCH_BYTES: Final = 512 * 1024
"""Most bytes of a batch; the site takes 1 MiB."""
MAX_EVENT_BYTES: Final = MAX_BATCH_BYTES - 2
UNAVAILABLE: Final = "urn:freshet:problem:unavailable"


class Waiting(NamedTuple):
    """An event that waits, as JSON. It keeps its event_id however often it is sent, so it counts once."""

    event_id: str
    content: bytes


class Refused(NamedTuple):
    """An event that the site refused for good, and why."""

    event: dict[str, Any]
    reason: dict[str, Any]


class Counts(NamedTuple):
    """What has become of the events so far; taken is the sum of the others."""

    taken: int
    accepted: int
    refused: int
    waiting: int


class Outbox:
    """The queue. Not for several threads at once."""

    def __init__(self, max_queued: int, max_batch: int) -> None:
        self._max_queued, self._max_batch = max_queued, max_batch
        self._queue: deque[Waiting] = deque()
        self._in_flight: list[Waiting] = []
        self._taken = self._accepted = self._refused = 0

    def __len__(self) -> int:
        """Events that are neither accepted nor refused yet."""
        return len(self._queue) + len(self._in_flight)

    def has_batch(self) -> bool:
        """True if a full batch waits."""
        return len(self._queue) >= self._max_batch

    def add(self, event: Mapping[str, Any]) -> None:
        """Takes an event with an ``event_id``. Raises QueueFull, or ValueError if it is no JSON or too large."""
        content = json.dumps(event, separators=(",", ":"), allow_nan=False).encode()
        if len(content) > MAX_EVENT_BYTES:
            raise ValueError(f"the event has {len(content):,} bytes; at most {MAX_EVENT_BYTES:,} are taken")
        if len(self) >= self._max_queued:
            raise QueueFull(f"{len(self):,} events wait already; is the site down, or max_queued too small?")
        self._queue.append(Waiting(event["event_id"], content))
        self._taken += 1

    def take(self) -> bytes:
        """Returns the body of the next batch, an array; empty if nothing waits. Then call ``settle`` before the next ``take``."""
        size = 2
        while self._queue and len(self._in_flight) < self._max_batch:
            size += len(self._queue[0].content) + 1
            if self._in_flight and size > MAX_BATCH_BYTES:
                break
            self._in_flight.append(self._queue.popleft())
        return b"[%s]" % b",".join(each.content for each in self._in_flight) if self._in_flight else b""

    def settle(self, status: int | None, body: Any) -> list[Refused]:
        """Notes the answer to the batch, None for no answer. What may still succeed waits again, at its old place.

        Returns what the site refused for good.
        """
        batch, self._in_flight = self._in_flight, []
        outcomes = _outcomes(batch, status, body)
        again = [each for each, outcome in zip(batch, outcomes, strict=True) if outcome is None]
        refused = [
            Refused(json.loads(each.content), outcome) for each, outcome in zip(batch, outcomes, strict=True) if outcome
        ]
        self._queue.extendleft(reversed(again))
        self._refused += len(refused)
        self._accepted += len(batch) - len(again) - len(refused)
        return refused

    def counts(self) -> Counts:
        """What has become of the events so far."""
        return Counts(self._taken, self._accepted, self._refused, len(self))


def _outcomes(batch: Sequence[Waiting], status: int | None, body: Any) -> list[dict[str, Any] | None]:
    """For each event: empty if it was accepted, None if it is to be sent again, else why it was refused."""
    results = body.get("results") if isinstance(body, dict) else None
    if isinstance(results, list) and len(results) == len(batch):
        return [_outcome(result) for result in results]
    if status is None or status in RETRIED or 200 <= status < 300:
        # A success without a result for each event says nothing about any of them.
        return [None] * len(batch)
    return [body if isinstance(body, dict) and body else {"status": status}] * len(batch)


def _outcome(result: Any) -> dict[str, Any] | None:
    if isinstance(result, dict) and result.get("status") == "accepted":
        return {}
    error = result.get("error") if isinstance(result, dict) else None
    return None if not isinstance(error, dict) or error.get("type") == UNAVAILABLE else error
