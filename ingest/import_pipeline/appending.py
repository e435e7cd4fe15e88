"""Appends entries to the log until all are confirmed, with growing pauses while the log is busy or away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from ingest import metrics
from schemas.errors import LogUnavailable
from schemas.log.records import LogEntry
from schemas.ports import LogWriter

DELAYS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)
_APPEND_SECONDS: Final = 60.0

_LOG = structlog.get_logger(__name__)


def append_all(writer: LogWriter, sleep: Callable[[float], None], topic: str, entries: Sequence[LogEntry]) -> None:
    """Appends until every entry is confirmed; raises LogUnavailable after the last delay."""
    for delay in (*DELAYS, None):
        entries, failure = _appended(writer, topic, entries)
        if failure is None:
            return
        if delay is None:
            raise LogUnavailable(f"{failure}; run the same import again, and it goes on from here") from failure
        _LOG.warning("import_waits", topic=topic, seconds=delay, entries=len(entries), reason=str(failure))
        sleep(delay)


def _appended(
    writer: LogWriter, topic: str, entries: Sequence[LogEntry]
) -> tuple[Sequence[LogEntry], LogUnavailable | None]:
    """The entries that the log did not confirm, and the reason."""
    if not entries:
        return [], None
    try:
        confirmations = writer.append(topic, entries).result(_APPEND_SECONDS)
    except TimeoutError:
        return entries, LogUnavailable(f"the log did not confirm within {_APPEND_SECONDS:g} s")
    except LogUnavailable as error:
        return entries, error
    failed = [
        entry for entry, confirmation in zip(entries, confirmations, strict=True) if isinstance(confirmation, Exception)
    ]
    reasons = [confirmation for confirmation in confirmations if isinstance(confirmation, Exception)]
    metrics.IMPORTED.labels(topic).inc(len(entries) - len(failed))
    return failed, LogUnavailable(str(reasons[0])) if reasons else None
