"""What the embedded stack keeps of jobs, in ``jobs.sqlite`` of a data folder; tables in ``schemas/sql/jobs.sql``."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final

from adapters.file_lease import FileLease
from adapters.registry import Adapter
from adapters.sqlite_files import connect, create, folder_of
from schemas.errors import JobStoreUnavailable
from schemas.jobs import Run, decode_run, encode_run

FILE: Final = "jobs.sqlite"


class _File:
    """The file, made and opened when it is first written or found; one statement at a time."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None

    def run(self, statement: str, *parameters: Any) -> int:
        """Change something; returns how many rows were."""
        with self._opened(make=True) as connection:
            assert connection is not None
            return connection.execute(statement, parameters).rowcount

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """All rows; none where the file does not exist, which reading does not make."""
        with self._opened(make=False) as connection:
            return [] if connection is None else connection.execute(query, parameters).fetchall()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    @contextmanager
    def _opened(self, *, make: bool) -> Iterator[sqlite3.Connection | None]:
        with self._lock, self._named():
            if self._connection is None and (make or self._path.exists()):
                create(self._path, "jobs")
                self._connection = connect(self._path, synchronous="NORMAL")
            yield self._connection

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise JobStoreUnavailable(f"the records of jobs in {self._path} cannot be used: {error}") from error


class SqliteRuns:
    """Implements ``schemas.ports.RunStore``."""

    def __init__(self, folder: Path) -> None:
        self._file = _File(folder)

    def put(self, run: Run) -> None:
        """Write a run's record."""
        self._file.run("INSERT OR REPLACE INTO runs VALUES (?, ?)", run.run_id, encode_run(run))

    def runs(self, limit: int = 50) -> list[Run]:
        """The newest runs."""
        rows = self._file.rows("SELECT run FROM runs ORDER BY run_id DESC LIMIT ?", limit)
        return [decode_run(run) for (run,) in rows]

    def expire(self, keep: int) -> int:
        """Remove old records."""
        kept = "SELECT run_id FROM runs ORDER BY run_id DESC LIMIT ?"
        return self._file.run(f"DELETE FROM runs WHERE run_id NOT IN ({kept})", keep)  # noqa: S608 - the text above

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class SqliteDocuments:
    """Implements ``schemas.ports.Documents``."""

    def __init__(self, folder: Path) -> None:
        self._file = _File(folder)

    def write(self, name: str, value: bytes) -> None:
        """Replace a document."""
        self._file.run("INSERT OR REPLACE INTO documents VALUES (?, ?)", name, value)

    def read(self, name: str) -> bytes | None:
        """The document."""
        rows = self._file.rows("SELECT value FROM documents WHERE name = ?", name)
        return rows[0][0] if rows else None

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


ADAPTER: Final = Adapter(
    ("sqlite",),
    lease=lambda address: FileLease(folder_of(address)),
    runs=lambda address: SqliteRuns(folder_of(address)),
    documents=lambda address: SqliteDocuments(folder_of(address)),
)
"""Leases, records of runs and documents at ``sqlite://folder``."""
