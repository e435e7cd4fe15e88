"""Erases records of the embedded log and of its answers in place, and scrubs the files of the embedded stores."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from adapters.registry import Adapter
from adapters.sqlite import answers as sqlite_answers
from adapters.sqlite import files as sqlite_files
from adapters.sqlite import log as sqlite_log
from schemas.configuration.addresses import Address
from schemas.errors import LogUnavailable
from schemas.log.records import Record
from schemas.ports import Change, Rewritable

_AT_ONCE: Final = 500
_PLACES: Final = "SELECT partition FROM ends WHERE topic = ?"
_NEXT: Final = 'SELECT * FROM records WHERE topic = ? AND partition = ? AND "offset" >= ?'
_MENTIONS: Final = "instr(key, ?) > 0 OR instr(value, ?) > 0"
_REPLACE: Final = 'UPDATE records SET key = ?, value = ? WHERE topic = ? AND partition = ? AND "offset" = ?'


class SqliteRecords:
    """Implements Rewritable on one file, which may not exist yet. Each call opens its own connection. A tombstone has no bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, topic: str, texts: Sequence[bytes]) -> Iterator[tuple[str, Record]]:
        """See Rewritable."""
        if not self._path.exists():
            return
        with self._open() as connection:
            log_id, _ = sqlite_log.read_identity(connection)
            for (partition,) in connection.execute(_PLACES, (topic,)).fetchall():
                for record in _found(connection, topic, partition, texts):
                    yield log_id, record

    def rewrite(self, topic: str, texts: Sequence[bytes], change: Change) -> int:
        """See Rewritable; a few hundred records in one commit, whose former bytes are overwritten."""
        if not self._path.exists():
            return 0
        changed = 0
        with self._open() as connection:
            batch: list[Record] = []
            for log_id, record in self.find(topic, texts):
                if (new := change(log_id, record)) != record:
                    batch.append(new)
                if len(batch) >= _AT_ONCE:
                    changed += _replace(connection, batch)
                    batch = []
            return changed + _replace(connection, batch)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite_files.connect(self._path)) as connection:
                connection.execute("PRAGMA secure_delete=ON")
                yield connection
        except sqlite3.Error as error:
            raise LogUnavailable(f"{self._path} cannot be rewritten: {error}; it is tried again") from error


def _found(connection: sqlite3.Connection, topic: str, partition: int, texts: Sequence[bytes]) -> Iterator[Record]:
    mentions = f" AND ({' OR '.join([_MENTIONS] * len(texts))})" if texts else ""
    query = f'{_NEXT}{mentions} ORDER BY "offset" LIMIT {_AT_ONCE}'
    values = [text for text in texts for _ in range(2)]
    offset = 0
    while rows := connection.execute(query, (topic, partition, offset, *values)).fetchall():
        for row in rows:
            yield sqlite_log.record_of(row)
        offset = rows[-1][2] + 1


def _replace(connection: sqlite3.Connection, records: Sequence[Record]) -> int:
    if records:
        rows = [(r.key, r.value or b"", r.topic, r.partition, r.offset) for r in records]
        with sqlite_files.transaction(connection):
            connection.executemany(_REPLACE, rows)
    return len(records)


def _rewritable(address: Address) -> list[Rewritable]:
    return [SqliteRecords(Path(address.location) / file) for file in (sqlite_log.FILE, sqlite_answers.FILE)]


def _scrub(address: Address, texts: Sequence[bytes]) -> bool:
    try:
        clean = [sqlite_files.scrub(path, texts) for path in sorted(Path(address.location).glob("*.sqlite"))]
        return all(clean)
    except sqlite3.Error:
        return False


ADAPTER: Final = Adapter(("sqlite",), rewritable=_rewritable, scrub=_scrub)
"""Erasure at ``sqlite://folder``."""
