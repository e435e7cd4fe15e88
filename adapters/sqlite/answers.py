"""Decision records of the embedded stack: a file of their own beside the log, bounded by age and size.

The file has the tables of the log, and a thread of its own writes it. So neither a flood of reads nor a file at its bound
delays an event, and where the disk is nearly full, the rest of it is left to events.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path
from typing import Final

from adapters.registry import Adapter
from adapters.sqlite import files as sqlite_files
from adapters.sqlite.log import FILE as LOG_FILE
from adapters.sqlite.log import SqliteLogReader, SqliteLogWriter
from schemas.configuration.addresses import Address, AnswerRetention
from schemas.errors import LogUnavailable
from schemas.log.topics import ANSWERS
from schemas.ports import Clock

FILE: Final = "answers.sqlite"
CAPACITY: Final = 5_000
"""Records that may wait; more are refused, and the caller counts them as dropped."""
_DAY_MS: Final = 86_400_000
_MEBIBYTE: Final = 1_048_576
_UPKEEP_SECONDS: Final = 60.0
_GATHER_SECONDS: Final = 0.05
_EXPIRED_AT_ONCE: Final = 1_000
_RESERVE_SHARE: Final = 0.05
_LARGEST_RESERVE: Final = 256 * _MEBIBYTE
_FREE_SHARE: Final = 1 / 8
"""Share of free pages that stays in the file for the next records; more go back to the disk, some at a time."""
_SHRINK_PAGES: Final = 128

_FIRST: Final = 'SELECT min("offset") FROM records WHERE topic = :topic AND partition = 0'
_LAST: Final = 'SELECT max("offset") FROM records WHERE topic = :topic AND partition = 0'
_DELETE: Final = 'DELETE FROM records WHERE topic = :topic AND partition = 0 AND "offset" < '
_DELETE_EXPIRED: Final = f"{_DELETE} ({_FIRST}) + :count AND timestamp_ms < :before"
_DELETE_OLDEST: Final = f"{_DELETE} ({_FIRST}) + 1 + (({_LAST}) - ({_FIRST})) / 64"


class Retention:
    """Removes what is too old, and the oldest while the file is too large. A little each time: it runs with every commit."""

    seconds: Final = _UPKEEP_SECONDS
    """Longest pause between two runs."""
    gather_seconds: Final = _GATHER_SECONDS
    """Each commit writes whole pages, so one for a few records would write many times their size."""

    def __init__(self, folder: Path, bounds: AnswerRetention) -> None:
        self._folder = folder
        self._days, self._bytes = bounds.days, bounds.mebibytes * _MEBIBYTE

    def __call__(self, connection: sqlite3.Connection, now_ms: int) -> None:
        """Runs before each commit; raises LogUnavailable where the rest of the disk is left to events."""
        before = now_ms - int(self._days * _DAY_MS)
        with sqlite_files.transaction(connection):
            expired = {"topic": ANSWERS, "count": _EXPIRED_AT_ONCE, "before": before}
            connection.execute(_DELETE_EXPIRED, expired)
            while _used_bytes(connection) > self._bytes and _delete_oldest(connection):
                pass
        _shrink(connection)
        disk = shutil.disk_usage(self._folder)
        if disk.free < min(_RESERVE_SHARE * disk.total, _LARGEST_RESERVE):
            raise LogUnavailable("the disk is nearly full: answers are not recorded, so that events have room")


def open_writer(folder: Path, bounds: AnswerRetention, clock: Clock = time.time) -> SqliteLogWriter:
    """Appends decision records; raises LogUnavailable."""
    return SqliteLogWriter(folder, 1, CAPACITY, clock, file=FILE, upkeep=Retention(folder, bounds))


def open_readers(folder: Path) -> list[SqliteLogReader]:
    """Read the file, and the log, where earlier versions kept answers; raises LogUnavailable where there is neither."""
    there = [name for name in (FILE, LOG_FILE) if (folder / name).exists()]
    return [SqliteLogReader(folder, name) for name in there or [LOG_FILE]]


def _delete_oldest(connection: sqlite3.Connection) -> int:
    return connection.execute(_DELETE_OLDEST, {"topic": ANSWERS}).rowcount


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
    return pages * _pragma(connection, "page_size")


def _shrink(connection: sqlite3.Connection) -> None:
    """Gives free pages back to the disk, some at a time."""
    if _pragma(connection, "freelist_count") > _FREE_SHARE * _pragma(connection, "page_count"):
        # Not by execute, which would take the first step only: one page.
        connection.executescript(f"PRAGMA incremental_vacuum({_SHRINK_PAGES})")


def _writer_at(address: Address) -> SqliteLogWriter:
    return open_writer(sqlite_files.folder_of(address), address.answers)


ADAPTER: Final = Adapter(
    ("sqlite",),
    own_answer_writer=_writer_at,
    own_answer_readers=lambda address: open_readers(Path(address.location)),
)
"""The answers at ``sqlite://folder``."""
