"""The newest events and answers of the log, kept in memory while somebody looks at the console."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from typing import Final, Generic, NamedTuple, TypeVar

from schemas.answers import Decision
from schemas.decision_codec import decode_decision
from schemas.errors import Undecodable
from schemas.events import LoggedEvent
from schemas.log import topics
from schemas.log.codec import decode_event
from schemas.log.records import OffsetToken, Record
from schemas.ports import Clock, LogReader

EVENTS_KEPT: Final = 1_000
"""Newest events of a partition that are kept."""
ANSWERS_KEPT: Final = 250
"""Newest answers of a partition that are kept."""
_BATCH: Final = 500
_READ_SECONDS: Final = 1.0
"""Pause between two reads of the log, however many people look."""


class LogParts(NamedTuple):
    """Reads the log, and the places where answers are."""

    reader: LogReader
    answers: Sequence[LogReader]


V = TypeVar("V")
OpenLog = Callable[[], AbstractContextManager[LogParts]]


class RecentEvent(NamedTuple):
    """One record of the topic ``events``."""

    token: OffsetToken
    logged_at: float
    """When the log received it, in seconds since 1970."""
    value: bytes
    event: LoggedEvent | None
    """None if it cannot be decoded."""
    fault: str = ""
    """Why it cannot."""


class Window(NamedTuple):
    """The newest events and answers, newest first."""

    events: list[RecentEvent]
    answers: list[Decision]


class RecentLog:
    """Reads on from where it stopped, at most once a second; several threads may call. Raises LogUnavailable."""

    def __init__(self, open_log: OpenLog, clock: Clock) -> None:
        self._open_log, self._clock = open_log, clock
        self._lock = threading.Lock()
        self._events = _Tails(topics.EVENTS, EVENTS_KEPT, recent_event)
        self._answers: list[_Tails[Decision | None]] = []
        self._window = Window([], [])
        self._read_at = float("-inf")

    def window(self) -> Window:
        """The newest events and answers. Blocks while it reads what is new."""
        with self._lock:
            now = self._clock()
            if abs(now - self._read_at) >= _READ_SECONDS:
                with self._open_log() as log:
                    self._window = self._read(log)
                self._read_at = now
            return self._window

    def _read(self, log: LogParts) -> Window:
        self._events.read(log.reader)
        self._answers += [_Tails(topics.ANSWERS, ANSWERS_KEPT, _decision) for _ in log.answers[len(self._answers) :]]
        for tails, reader in zip(self._answers, log.answers, strict=False):
            tails.read(reader)
        answers = [decision for tails in self._answers for decision in tails.values() if decision is not None]
        return Window(
            sorted(self._events.values(), key=lambda event: event.logged_at, reverse=True),
            sorted(answers, key=lambda decision: decision.generated_at, reverse=True),
        )


class _Tails(Generic[V]):
    """The last records of each partition of a topic, each decoded once."""

    def __init__(self, topic: str, kept: int, decode: Callable[[Record], V]) -> None:
        self._topic, self._kept, self._decode = topic, kept, decode
        self._log_id = ""
        self._tails: dict[int, deque[V]] = {}
        self._next: dict[int, int] = {}

    def read(self, reader: LogReader) -> None:
        """Reads what is new. Of more than are kept, the older ones are skipped."""
        log_id = reader.log_id(self._topic)
        if log_id != self._log_id:
            self._log_id, self._tails, self._next = log_id, {}, {}
        for partition in range(reader.partitions(self._topic)):
            begin, end = reader.bounds(self._topic, partition)
            tail = self._tails.setdefault(partition, deque(maxlen=self._kept))
            offset = max(begin, end - self._kept, self._next.get(partition, 0))
            while offset < end and (batch := reader.read(self._topic, partition, offset, _BATCH)):
                tail.extend(map(self._decode, batch))
                offset = batch[-1].offset + 1
            self._next[partition] = max(offset, self._next.get(partition, 0))

    def values(self) -> Iterator[V]:
        """All that is kept."""
        return chain.from_iterable(self._tails.values())


def recent_event(record: Record) -> RecentEvent:
    """The event of a record, or why it cannot be decoded."""
    token, value = OffsetToken(record.partition, record.offset), record.value or b""
    try:
        return RecentEvent(token, record.timestamp_ms / 1_000, value, decode_event(value, record.timestamp_ms))
    except Undecodable as error:
        return RecentEvent(token, record.timestamp_ms / 1_000, value, None, str(error))


def _decision(record: Record) -> Decision | None:
    try:
        return decode_decision(record.value or b"")
    except Undecodable:
        return None
