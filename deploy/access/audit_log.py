"""Appends records of the audit log to the topic ``audit``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog
from fastapi.concurrency import run_in_threadpool

from schemas.access.audit import AuditRecord, audit_entry
from schemas.errors import FreshetError
from schemas.http.access.metrics import AUDIT_FAILURES
from schemas.log import topics
from schemas.ports import Appended, LogWriter

_SECONDS: Final = 5.0
"""Longest time that a change waits for its audit record. The change itself is on the log by then."""

_log = structlog.get_logger(__name__)


class AuditWriter:
    """Writes the audit log of an HTTP process. What the log does not take goes to the process's own log, and is counted."""

    def __init__(self, open_writer: Callable[[], LogWriter]) -> None:
        """The writer is opened at the first record."""
        self._open_writer = open_writer
        self._writer: LogWriter | None = None
        self._opening = threading.Lock()

    async def __call__(self, record: AuditRecord) -> None:
        """Returns once the log has the record, or the failure is noted."""
        try:
            writer = await run_in_threadpool(self._opened)
            appending = asyncio.wrap_future(writer.append(topics.AUDIT, [audit_entry(record)]))
            result: Appended = (await asyncio.wait_for(appending, _SECONDS))[0]
        except (FreshetError, TimeoutError) as error:
            result = error
        if isinstance(result, Exception):
            AUDIT_FAILURES.inc()
            _log.error(
                "audit_record_not_written",
                reason=str(result),
                actor=record.actor,
                action=record.action,
                target=record.target,
                offset=record.offset,
            )

    def close(self) -> None:
        """Closes the writer."""
        if self._writer is not None:
            with suppress(FreshetError):
                self._writer.close()

    def _opened(self) -> LogWriter:
        with self._opening:
            writer = self._writer = self._writer or self._open_writer()
        return writer
