"""Copies the SQLite files of a data folder while processes use them, and makes a restored copy a log of its own."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

from adapters.sqlite import log as sqlite_log
from adapters.sqlite import signals as sqlite_signals
from schemas.errors import BackupInvalid, BackupUnavailable


def copy_database(source: Path, target: Path) -> None:
    """Copies a database as of one moment into one new file. Writers go on meanwhile. Raises BackupUnavailable."""
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=30.0)) as reading,
            closing(sqlite3.connect(target)) as writing,
        ):
            reading.backup(writing)  # in one step: a copy in several steps begins anew at each commit of a writer
            writing.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise BackupUnavailable(
            f"{source} could not be copied ({error}): look at the disk of {target.parent}"
        ) from error


def check_database(path: Path) -> None:
    """Raises BackupInvalid if the file is not a sound database."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            [(result,)] = connection.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.Error as error:
        raise BackupInvalid(f"{path.name} is no sound database: {error}") from error
    if result != "ok":
        raise BackupInvalid(f"{path.name} is no sound database: {result}")


def log_id_of(folder: Path) -> str:
    """The id of the log in a folder."""
    with closing(sqlite3.connect(folder / sqlite_log.FILE)) as connection:
        return str(connection.execute("SELECT value FROM meta WHERE name = 'log_id'").fetchone()[0])


def make_log_its_own(folder: Path) -> tuple[str, str]:
    """Gives the log of a restored folder a new id, and its signals with it. Returns the old and the new id.

    From its restoration on, a log is another one than that which was backed up, although both share their first records:
    snapshots and archives that were made of the other must not be taken for those of this one.
    """
    old, new = log_id_of(folder), uuid.uuid4().hex
    with closing(sqlite3.connect(folder / sqlite_log.FILE)) as connection, connection:
        connection.execute("UPDATE meta SET value = ? WHERE name = 'log_id'", (new,))
    signals = folder / sqlite_signals.FILE
    if signals.exists():
        with closing(sqlite3.connect(signals)) as connection, connection:
            connection.execute("UPDATE fences SET log_id = ? WHERE log_id = ?", (new, old))
    return old, new
