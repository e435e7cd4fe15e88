"""Writes records of keys to the log: what `freshet keys` makes, rotates and revokes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from schemas.errors import LogUnavailable
from schemas.log import topics
from schemas.log.records import LogEntry
from schemas.ports import LogWriter

_SECONDS: Final = 30.0


def append_access(writer: LogWriter, entries: Sequence[LogEntry]) -> None:
    """Appends records to the topic ``access``; returns once the log has all of them, and raises LogUnavailable otherwise."""
    try:
        results = writer.append(topics.ACCESS, entries).result(_SECONDS)
    except TimeoutError as error:
        raise LogUnavailable(f"the log did not confirm within {_SECONDS:g} s; look with `freshet keys list`") from error
    failure = next((result for result in results if isinstance(result, Exception)), None)
    if failure is not None:
        raise LogUnavailable(f"{failure}; look with `freshet keys list` what was done") from failure
