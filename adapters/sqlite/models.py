"""Model versions in ``models.sqlite`` of a data folder; tables in ``schemas/sql/models.sql``.

A version is written in one transaction, so no incomplete version can remain. Readers are never blocked (WAL).
A second writer waits for the first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from threading import RLock
from typing import Any, Final

from adapters.registry import Adapter
from adapters.sqlite.files import folder_of
from schemas.errors import ModelStoreUnavailable, PointerMoved, VersionExists, VersionUnknown
from schemas.offline.manifest import Manifest, decode_manifest, decode_manifests, encode_manifest, without_lists

FILE: Final = "models.sqlite"
_BUSY_SECONDS: Final = 30.0


class SqliteModelStore:
    """A ModelStore in one file. Several threads may call it; a lock serves them one at a time."""

    def __init__(self, folder: Path) -> None:
        self._database = _Database(folder)

    def write(
        self,
        manifest: Manifest,
        values: Mapping[str, bytes],
        lists: Mapping[str, Iterator[tuple[str, bytes]]],
    ) -> None:
        """Writes one version completely or not at all."""
        version = manifest.version
        with self._database.changing() as connection:
            if self._manifest(connection, version) is not None:
                raise VersionExists(f"version {version} is already in the store, and versions never change")
            rows = ((version, name, value) for name, value in values.items())
            connection.executemany("INSERT INTO model_values VALUES (?, ?, ?)", rows)
            for kind, entries in lists.items():
                _insert_lists(connection, version, kind, entries)
            connection.execute("INSERT INTO versions VALUES (?, ?)", (version, encode_manifest(manifest)))

    def activate(self, version: str, expected: str | None) -> None:
        """Compares and sets the pointer to the active version."""
        with self._database.changing() as connection:
            if self._manifest(connection, version) is None:
                raise _unknown(version)
            actual = _active(connection)
            if actual != expected:
                raise PointerMoved(expected, actual)
            connection.execute("INSERT OR REPLACE INTO pointer VALUES (1, ?)", (version,))

    def active(self) -> str | None:
        """The active version."""
        with self._database.reading() as connection:
            return _active(connection)

    def hold(self, version: str | None) -> None:
        """Makes a version the challenger; None removes the challenger."""
        with self._database.changing() as connection:
            if version is None:
                connection.execute("DELETE FROM challenger")
                return
            if self._manifest(connection, version) is None:
                raise _unknown(version)
            connection.execute("INSERT OR REPLACE INTO challenger VALUES (1, ?)", (version,))

    def challenger(self) -> str | None:
        """The version that is the challenger."""
        with self._database.reading() as connection:
            return _challenger(connection)

    def versions(self) -> list[Manifest]:
        """Every version, newest first."""
        rows = self._database.rows("SELECT manifest FROM versions ORDER BY version DESC")
        return decode_manifests(manifest for (manifest,) in rows)

    def manifest(self, version: str) -> Manifest:
        """A version's manifest; raises VersionUnknown."""
        with self._database.reading() as connection:
            encoded = self._manifest(connection, version)
        if encoded is None:
            raise _unknown(version)
        return decode_manifest(encoded)

    def value(self, version: str, name: str) -> bytes:
        """One stored value; raises VersionUnknown."""
        value = self._database.first_value(
            "SELECT value FROM model_values WHERE version = ? AND name = ?", (version, name)
        )
        if value is None:
            raise VersionUnknown(f"version {version} with a value '{name}' is not in the store")
        return value

    def entry(self, version: str, kind: str, key: str) -> bytes | None:
        """One precomputed list."""
        return self._database.first_value(_ENTRY, (version, kind, key))

    def entries(self, version: str, kind: str) -> Iterator[tuple[str, bytes]]:
        """Every list of a kind, by key."""
        rows = self._database.rows(_FIRST_ENTRIES, (version, kind))
        while rows:
            yield from rows
            rows = self._database.rows(_NEXT_ENTRIES, (version, kind, rows[-1][0]))

    def delete(self, version: str) -> None:
        """Removes a version unless it is active or the challenger. A missing version is not an error."""
        with self._database.changing() as connection:
            if version in (_active(connection), _challenger(connection)):
                raise PointerMoved(None, version)
            for table in ("versions", "model_values", "lists"):
                connection.execute(f"DELETE FROM {table} WHERE version = ?", (version,))  # noqa: S608 - names above

    def erase(self, version: str, kind: str, keys: Sequence[str]) -> int:
        """Removes the lists of these keys, and overwrites their pages."""
        with self._database.changing(secure=True) as connection:
            rows = [(version, kind, key) for key in keys]
            removed = connection.executemany(_ERASE, rows).rowcount
            if removed and (encoded := self._manifest(connection, version)) is not None:
                counted = without_lists(decode_manifest(encoded), kind, removed)
                connection.execute(_SET_MANIFEST, (encode_manifest(counted), version))
        return removed

    def replace_value(self, version: str, name: str, value: bytes) -> None:
        """Replaces a value, and overwrites its pages."""
        with self._database.changing(secure=True) as connection:
            if not connection.execute(_SET_VALUE, (value, version, name)).rowcount:
                raise VersionUnknown(f"version {version} with a value '{name}' is not in the store")

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    @staticmethod
    def _manifest(connection: sqlite3.Connection, version: str) -> bytes | None:
        manifest: bytes | None = _first_column(
            connection.execute("SELECT manifest FROM versions WHERE version = ?", (version,))
        )
        return manifest


class SqliteListReader:
    """A ListReader on the same file. It reads on the event loop: one row takes less time than a switch to a thread."""

    def __init__(self, folder: Path) -> None:
        self._database = _Database(folder)

    async def read(self, version: str, kind: str, key: str) -> bytes | None:
        """One precomputed list."""
        return self._database.first_value(_ENTRY, (version, kind, key))

    async def close(self) -> None:
        """Closes the file."""
        self._database.close()


_ERASE: Final = "DELETE FROM lists WHERE version = ? AND kind = ? AND key = ?"
_SET_VALUE: Final = "UPDATE model_values SET value = ? WHERE version = ? AND name = ?"
_SET_MANIFEST: Final = "UPDATE versions SET manifest = ? WHERE version = ?"
_ENTRY: Final = "SELECT value FROM lists WHERE version = ? AND kind = ? AND key = ?"
_FIRST_ENTRIES: Final = "SELECT key, value FROM lists WHERE version = ? AND kind = ? ORDER BY key LIMIT 1000"
_NEXT_ENTRIES: Final = "SELECT key, value FROM lists WHERE version = ? AND kind = ? AND key > ? ORDER BY key LIMIT 1000"


class _Database:
    """The open file; every error of the driver becomes ModelStoreUnavailable."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._lock = RLock()
        with self._translate_errors():
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.executescript(resources.files("schemas").joinpath("sql/models.sql").read_text())

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone."""
        with self._translate_errors(), self._lock:
            yield self._connection

    @contextmanager
    def changing(self, *, secure: bool = False) -> Iterator[sqlite3.Connection]:
        """The connection, in one transaction that any error rolls back. ``secure``: removed content is overwritten."""
        with self.reading() as connection:
            connection.execute(f"PRAGMA secure_delete={'ON' if secure else 'OFF'}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def rows(self, query: str, parameters: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self.reading() as connection:
            return connection.execute(query, parameters).fetchall()

    def first_value(self, query: str, parameters: tuple[str, ...]) -> bytes | None:
        """The first column of the first row."""
        with self.reading() as connection:
            value: bytes | None = _first_column(connection.execute(query, parameters))
        return value

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise ModelStoreUnavailable(f"the model store {self._path} cannot be used: {error}") from error


def _insert_lists(
    connection: sqlite3.Connection, version: str, kind: str, entries: Iterator[tuple[str, bytes]]
) -> None:
    rows = ((version, kind, key, value) for key, value in entries)
    connection.executemany("INSERT INTO lists VALUES (?, ?, ?, ?)", rows)


def _active(connection: sqlite3.Connection) -> str | None:
    version: str | None = _first_column(connection.execute("SELECT version FROM pointer"))
    return version


def _challenger(connection: sqlite3.Connection) -> str | None:
    version: str | None = _first_column(connection.execute("SELECT version FROM challenger"))
    return version


def _first_column(cursor: sqlite3.Cursor) -> Any:
    row = cursor.fetchone()
    return None if row is None else row[0]


def _unknown(version: str) -> VersionUnknown:
    return VersionUnknown(f"version {version} is not in the store; `freshet models list` shows those that are")


ADAPTER: Final = Adapter(
    ("sqlite",),
    model_store=lambda address: SqliteModelStore(folder_of(address)),
    list_reader=lambda address: SqliteListReader(folder_of(address)),
)
"""Models at ``sqlite://folder``."""
