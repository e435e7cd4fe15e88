"""What the embedded stores share: how their SQLite files are made and opened."""

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
def create(path: Path, schema: str) -> None:
    """Make the file and its tables (``schemas/sql/<schema>.sql``) where they are missing; raises sqlite3.Error.

    Tried again, because two processes that switch one new file to write-ahead mode do not wait for each other.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(files("schemas").joinpath("sql", f"{schema}.sql").read_text())
    finally:
        connection.close()


def connect(path: Path, synchronous: str = "FULL") -> sqlite3.Connection:
    """A connection to a file that exists, with transactions begun by hand; for one thread at a time."""
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
    """All or nothing: commits at the end, rolls back on any exception."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors, such as a full disk.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def folder_of(address: Address) -> Path:
    """The data folder of ``sqlite://folder``, made where it is missing."""
    folder = Path(address.location)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
