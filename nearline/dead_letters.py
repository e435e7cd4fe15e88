"""Dead letters: records that a worker cannot apply. The worker continues only after the letter is confirmed."""

from __future__ import annotations

from concurrent.futures import TimeoutError as ConfirmationTimeout
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog

from nearline import metrics
from schemas.errors import LogUnavailable, RecordTooLarge
from schemas.log import topics
from schemas.log.dead_letters import encode_dead_letter, refuse
from schemas.log.records import LogEntry, Record
from schemas.ports import Clock, LogWriter

REFUSED_BY: Final = "nearline"
KEPT_BYTES: Final = (None, 1_000_000, 500_000, 50_000, 500)
"""Bytes of a record that its letter keeps, first all of them. The next is tried if the letter is too large for the topic."""

_log = structlog.get_logger(__name__)


class DeadLetterSink(Protocol):
    """Takes records that cannot be decoded or applied."""

    def __call__(self, record: Record, reason: str) -> None:
        """Block until the dead letter is confirmed. Raises LogUnavailable if it is not."""


class LogDeadLetterSink:
    """Writes one dead letter to the dead-letter topic for each record.

    A worker that dies between the dead letter and its commit writes the letter again, with the same coordinates.
    """

    def __init__(self, writer: LogWriter, clock: Clock, timeout: float = 15.0) -> None:
        self._writer, self._clock, self._timeout = writer, clock, timeout

    def __call__(self, record: Record, reason: str) -> None:
        """Block until the dead letter is confirmed. Raises LogUnavailable if it is not within the timeout (s).

        A letter that is too large for the topic is cut until the topic takes it.
        """
        for limit in KEPT_BYTES:
            try:
                self._append(record, reason, limit)
                break
            except RecordTooLarge:
                if limit == KEPT_BYTES[-1]:
                    raise
        metrics.DEAD_LETTERS.labels(record.topic).inc()
        metrics.EVENTS.labels(record.topic, "refused").inc()
        _log.warning(
            "record_refused",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason[:1_000],
        )

    def _append(self, record: Record, reason: str, limit: int | None) -> None:
        refused_at = datetime.fromtimestamp(self._clock(), UTC)
        letter = refuse(record, REFUSED_BY, reason, refused_at, limit)
        appended = self._writer.append(topics.DEADLETTERS, [LogEntry(record.key[:limit], encode_dead_letter(letter))])
        try:
            [outcome] = appended.result(timeout=self._timeout)
        except ConfirmationTimeout as error:
            raise LogUnavailable(f"no confirmation of a dead letter within {self._timeout:g} s") from error
        if isinstance(outcome, Exception):
            raise outcome
