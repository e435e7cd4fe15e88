"""Names that count once on a site, in ``nonces.sqlite`` of a data folder; table in ``schemas/sql/nonces.sql``."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Final

from adapters.registry import Adapter
from adapters.sqlite.files import LazyDatabase, folder_of, transaction
from schemas.errors import StoreUnavailable
from schemas.ports import Clock

FILE: Final = "nonces.sqlite"


class SqliteNonces:
    """Implements ``schemas.ports.NonceStore``. The file is made at the first use."""

    def __init__(self, folder: Path, clock: Clock = time.time) -> None:
        self._path, self._clock = folder / FILE, clock
        # Not synced: a nonce that a power cut loses is old before the machine serves again, or nearly so.
        self._database = LazyDatabase(self._path, "nonces")

    def add(self, name: str, seconds: float) -> bool:
        """Remembers a name, and forgets those whose time is over."""
        now = self._clock()
        try:
            with self._database.made() as connection, transaction(connection):
                connection.execute("DELETE FROM nonces WHERE until <= ?", (now,))
                added = connection.execute("INSERT OR IGNORE INTO nonces VALUES (?, ?)", (name, now + seconds))
                return added.rowcount == 1
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"the nonces in {self._path} cannot be used: {error}") from error

    def close(self) -> None:
        """Closes the file."""
        self._database.close()


ADAPTER: Final = Adapter(("sqlite",), nonce_store=lambda address: SqliteNonces(folder_of(address)))
"""Nonces at ``sqlite://folder``."""
