"""Dead letters: what cannot be applied is put aside, confirmed, before its offset is passed."""

from __future__ import annotations

from concurrent.futures import TimeoutError as NotInTime
from datetime import UTC, datetime
from typing import Final

import structlog

from nearline import metrics
from schemas.errors import LogUnavailable
from schemas.log import topics
from schemas.log.dead_letters import encode_dead_letter, refuse
from schemas.log.records import LogEntry, Record
from schemas.ports import Clock, LogWriter

_log = structlog.get_logger(__name__)

REFUSED_BY: Final = "nearline"


class LogRefuser:
    """Refuse on the log: one record on the dead-letter topic for each refused one.

    A worker that dies between the dead letter and its commit refuses the record again: its coordinates tell.
    """

    def __init__(self, writer: LogWriter, clock: Clock, timeout: float = 15.0) -> None:
        self._writer, self._clock, self._timeout = writer, clock, timeout

    def __call__(self, record: Record, reason: str) -> None:
        """Block until the dead letter is confirmed; raises LogUnavailable where it is not within the timeout (s)."""
        at = datetime.fromtimestamp(self._clock(), UTC)
        letter = refuse(record, REFUSED_BY, reason, at)
        appended = self._writer.append(topics.DEADLETTERS, [LogEntry(record.key, encode_dead_letter(letter))])
        try:
            [landed] = appended.result(timeout=self._timeout)
        except NotInTime as error:
            raise LogUnavailable(f"no confirmation of a dead letter within {self._timeout:g} s") from error
        if isinstance(landed, Exception):
            raise landed
        metrics.DEAD_LETTERS.labels(record.topic).inc()
        metrics.EVENTS.labels(record.topic, "refused").inc()
        _log.warning(
            "record_refused", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason
        )
