"""Writes records of keys, accounts and audit to the log: what commands make and change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from schemas.access.audit import AuditRecord, audit_entry
from schemas.errors import LogUnavailable
from schemas.log import topics
from schemas.log.records import LogEntry
from schemas.ports import LogWriter

_SECONDS: Final = 30.0


def append_access(writer: LogWriter, entries: Sequence[LogEntry]) -> None:
    """Appends records to the topic ``access``; returns once the log has all of them, and raises LogUnavailable otherwise."""
    _append(writer, topics.ACCESS, entries)


def append_audit(writer: LogWriter, record: AuditRecord) -> None:
    """Appends a record to the audit log; returns once the log has it, and raises LogUnavailable otherwise."""
    _append(writer, topics.AUDIT, [audit_entry(record)])


def _append(writer: LogWriter, topic: str, entries: Sequence[LogEntry]) -> None:
    advice = "look with `freshet keys list` and `freshet admin list` what was done"
    try:
        results = writer.append(topic, entries).result(_SECONDS)
    except TimeoutError as error:
        raise LogUnavailable(f"the log did not confirm within {_SECONDS:g} s; {advice}") from error
    failure = next((result for result in results if isinstance(result, Exception)), None)
    if failure is not None:
        raise LogUnavailable(f"{failure}; {advice}") from failure
