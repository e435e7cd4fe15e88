"""Names that count once on a site, in ``nonces.sqlite`` of a data folder; table in ``schemas/sql/nonces.sql``."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

from adapters.registry import Adapter
from adapters.sqlite.files import connect, create, folder_of, transaction
from schemas.errors import StoreUnavailable
from schemas.ports import Clock

FILE: Final = "nonces.sqlite"


class SqliteNonces:
    """Implements ``schemas.ports.NonceStore``. The file is made at the first use."""

    def __init__(self, folder: Path, clock: Clock = time.time) -> None:
        self._path, self._clock = folder / FILE, clock
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None

    def add(self, name: str, seconds: float) -> bool:
        """Remembers a name, and forgets those whose time is over."""
        now = self._clock()
        try:
            with self._lock, self._transaction() as connection:
                connection.execute("DELETE FROM nonces WHERE until <= ?", (now,))
                added = connection.execute("INSERT OR IGNORE INTO nonces VALUES (?, ?)", (name, now + seconds))
                return added.rowcount == 1
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"the nonces in {self._path} cannot be used: {error}") from error

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        if self._connection is None:
            create(self._path, "nonces")
            # Not synced: a nonce that a power cut loses is old before the machine serves again, or nearly so.
            self._connection = connect(self._path, synchronous="NORMAL")
        with transaction(self._connection):
            yield self._connection


ADAPTER: Final = Adapter(("sqlite",), nonce_store=lambda address: SqliteNonces(folder_of(address)))
"""Nonces at ``sqlite://folder``."""
