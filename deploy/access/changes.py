"""Reads keys and accounts for commands, and writes their records together with what the audit log says of them."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from typing import Any

from ingest.access import append_access, append_audit
from schemas.access.audit import AuditRecord
from schemas.access.view import AccessView, read_on
from schemas.log.records import LogEntry
from schemas.ports import LogReader, LogWriter


def current_access(reader: LogReader) -> AccessView:
    """The keys and accounts that the log holds now; raises LogUnavailable."""
    return read_on(AccessView(), reader)


def system_user() -> str:
    """The name of the user of this machine who runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def write_change(
    writer: LogWriter,
    entries: Sequence[LogEntry],
    *,
    now: float,
    action: str,
    target: str,
    before: Any = None,
    after: Any = None,
) -> None:
    """Appends records to the topic ``access``, then what the audit log says of them; raises LogUnavailable."""
    append_access(writer, entries)
    write_audit(writer, now=now, action=action, target=target, before=before, after=after)


def write_audit(
    writer: LogWriter, *, now: float, action: str, target: str, before: Any = None, after: Any = None
) -> None:
    """Appends what a command did to the audit log; raises LogUnavailable."""
    append_audit(
        writer,
        AuditRecord(
            at=now, actor_kind="command", actor=system_user(), action=action, target=target, before=before, after=after
        ),
    )
