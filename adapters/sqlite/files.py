"""Creates and opens the SQLite files of the embedded stores."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import Final

import stamina

from schemas.configuration.addresses import Address

BUSY_SECONDS: Final = 5.0
"""How long a statement waits for another process's transaction."""
_TELLING: Final = 8
"""Bytes of a text that is not found by chance in a file of other contents."""
_READ_BYTES: Final = 4 * 1_048_576


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


class LazyDatabase:
    """A file that is opened at its first use. One use at a time, from any thread; raises sqlite3.Error, OSError."""

    def __init__(self, path: Path, schema: str) -> None:
        self._path, self._schema = path, schema
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def made(self) -> Iterator[sqlite3.Connection]:
        """The connection, which does not sync each commit. Makes the file if it is missing."""
        with self._lock:
            yield self._opened()

    @contextmanager
    def present(self) -> Iterator[sqlite3.Connection | None]:
        """The connection; None if the file is missing."""
        with self._lock:
            yield self._opened() if self._connection is not None or self._path.exists() else None

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            create(self._path, self._schema)
            self._connection = connect(self._path, synchronous="NORMAL")
        return self._connection


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


def scrub(path: Path, texts: Sequence[bytes]) -> bool:
    """Makes sure that removed rows leave nothing in a file or its write-ahead log; raises sqlite3.Error.

    A short text may be found anywhere, so for one the file is always rewritten. Returns False if a longer text is still
    found, as while a reader keeps the write-ahead log.
    """
    if not path.exists():
        return True
    with closing(connect(path)) as connection:
        _checkpoint(connection)
        if any(len(text) < _TELLING for text in texts) or _holds(path, texts):
            connection.execute("VACUUM")
            _checkpoint(connection)
    return not _holds(path, [text for text in texts if len(text) >= _TELLING])


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _holds(path: Path, texts: Sequence[bytes]) -> bool:
    if not texts:
        return False
    log = path.with_name(f"{path.name}-wal")
    if _mentions(_descriptor(path), texts):
        return True
    if not log.exists():
        return False
    with log.open("rb") as file:  # SQLite has no locks on this one
        return _mentions(file.fileno(), texts)


def _descriptor(path: Path) -> int:
    """A descriptor of the file that stays open for the life of the process.

    To close one would take away every lock that SQLite has on the file in this process: fcntl's locks are so.
    """
    key = str(path.absolute())
    with _descriptors_lock:
        known = _descriptors.get(key)
        if known is None or os.fstat(known).st_ino != path.stat().st_ino:
            known = _descriptors[key] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return known


def _mentions(descriptor: int, texts: Sequence[bytes]) -> bool:
    wanted, overlap = re.compile(b"|".join(map(re.escape, texts))), max(map(len, texts))
    position, before = 0, b""
    while part := os.pread(descriptor, _READ_BYTES, position):
        if wanted.search(before + part):
            return True
        position, before = position + len(part), part[-overlap:]
    return False


_descriptors: Final[dict[str, int]] = {}
_descriptors_lock: Final = threading.Lock()


def folder_of(address: Address) -> Path:
    """The data folder of ``sqlite://folder``; creates it if it is missing."""
    folder = Path(address.location)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
