"""Records of runs, and documents, in ``jobs.sqlite`` of a data folder; tables in ``schemas/sql/jobs.sql``."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from adapters.files.lease import FileLease
from adapters.registry import Adapter
from adapters.sqlite.files import LazyDatabase, folder_of
from schemas.errors import JobStoreUnavailable
from schemas.offline.jobs import Run, decode_runs, encode_run

FILE: Final = "jobs.sqlite"


class _JobDatabase:
    """The SQLite file. It is opened at first use; only a write creates it. Runs one statement at a time."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._database = LazyDatabase(self._path, "jobs")

    def run(self, statement: str, *parameters: Any) -> int:
        """Runs a statement; returns the number of rows that it changed."""
        with self._translate_errors(), self._database.made() as connection:
            return connection.execute(statement, parameters).rowcount

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """All rows of a query; empty if the file does not exist."""
        with self._translate_errors(), self._database.present() as connection:
            return [] if connection is None else connection.execute(query, parameters).fetchall()

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise JobStoreUnavailable(f"the records of jobs in {self._path} cannot be used: {error}") from error


class SqliteRuns:
    """Implements ``schemas.ports.RunStore``."""

    def __init__(self, folder: Path) -> None:
        self._database = _JobDatabase(folder)

    def put(self, run: Run) -> None:
        """Writes a run's record."""
        self._database.run("INSERT OR REPLACE INTO runs VALUES (?, ?)", run.run_id, encode_run(run))

    def runs(self, limit: int = 50) -> list[Run]:
        """The newest runs."""
        rows = self._database.rows("SELECT run FROM runs ORDER BY run_id DESC LIMIT ?", limit)
        return decode_runs(run for (run,) in rows)

    def expire(self, keep: int) -> int:
        """Removes old records."""
        newest_ids = "SELECT run_id FROM runs ORDER BY run_id DESC LIMIT ?"
        return self._database.run(f"DELETE FROM runs WHERE run_id NOT IN ({newest_ids})", keep)  # noqa: S608 - the text above

    def close(self) -> None:
        """Closes the file."""
        self._database.close()


class SqliteDocuments:
    """Implements ``schemas.ports.Documents``."""

    def __init__(self, folder: Path) -> None:
        self._database = _JobDatabase(folder)

    def write(self, name: str, value: bytes) -> None:
        """Replaces a document."""
        self._database.run("INSERT OR REPLACE INTO documents VALUES (?, ?)", name, value)

    def read(self, name: str) -> bytes | None:
        """The document."""
        rows = self._database.rows("SELECT value FROM documents WHERE name = ?", name)
        return rows[0][0] if rows else None

    def names(self) -> list[str]:
        """All names."""
        return [name for (name,) in self._database.rows("SELECT name FROM documents ORDER BY name")]

    def close(self) -> None:
        """Closes the file."""
        self._database.close()


ADAPTER: Final = Adapter(
    ("sqlite",),
    lease=lambda address: FileLease(folder_of(address)),
    runs=lambda address: SqliteRuns(folder_of(address)),
    documents=lambda address: SqliteDocuments(folder_of(address)),
)
"""Leases, records of runs and documents at ``sqlite://folder``."""
