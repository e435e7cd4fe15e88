"""Creates and opens the SQLite files of the embedded stores."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Final

import stamina

from schemas.addresses import Address

BUSY_SECONDS: Final = 5.0
"""How long a statement waits for another process's transaction."""


@stamina.retry(on=sqlite3.OperationalError, attempts=5, timeout=BUSY_SECONDS)
def create(path: Path, schema: str, *, forgets: bool = False) -> None:
    """Creates the file and its tables (``schemas/sql/<schema>.sql``) if they are missing; raises sqlite3.Error.

    ``forgets``: free pages can be given back to the disk, and records of some kilobytes fill pages well. Both have to be
    decided before the first table.
    It retries, because two processes that switch one new file to write-ahead mode do not wait for each other.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
    try:
        if forgets:
            connection.execute("PRAGMA page_size=16384")
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(files("schemas").joinpath("sql", f"{schema}.sql").read_text())
    finally:
        connection.close()


def connect(path: Path, synchronous: str = "FULL") -> sqlite3.Connection:
    """A connection to a file that exists, for one thread at a time. The caller begins transactions."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute(f"PRAGMA synchronous={synchronous}")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """Commits at the end of the block, and rolls back on any exception."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # After some errors, such as a full disk, SQLite rolls back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def folder_of(address: Address) -> Path:
    """The data folder of ``sqlite://folder``; creates it if it is missing."""
    folder = Path(address.location)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
