"""The embedded signal store: values and fences in one SQLite file, each commit one transaction.

A commit is atomic but not synced. After a power cut the file may lack the newest commits. Its values still belong to its
fence, and the log is folded again from there.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final

from adapters.registry import Adapter
from adapters.sqlite import files as sqlite_files
from schemas.errors import FenceMoved, StoreUnavailable, ValueCorrupt
from schemas.keys import FOLLOWED, IN_PARTS
from schemas.log.fence import Fence
from schemas.ports import PAGE, Replacement, SignalChanges, SignalValues
from schemas.values import tails

FILE: Final = "signals.sqlite"
KEYS_AT_ONCE: Final = 500
"""Most keys in one query; an even number."""

_FENCE: Final = 'SELECT log_id, "offset" FROM fences WHERE partition = ? AND signal = ?'
_SET_FENCE: Final = "INSERT OR REPLACE INTO fences VALUES (?, ?, ?, ?)"
_SET_VALUE: Final = (
    "INSERT INTO signal_values VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET value = excluded.value, changed = excluded.changed"
)
_REMOVE_VALUE: Final = "DELETE FROM signal_values WHERE partition = ? AND signal = ? AND key = ?"
_RENAME: Final = "UPDATE signal_values SET signal = ? WHERE partition = ? AND signal = ?"
_REMOVE_FENCE: Final = "DELETE FROM fences WHERE partition = ? AND signal = ?"
_REMOVE_ALL: Final = "DELETE FROM signal_values WHERE partition = ? AND signal = ?"
_ALL_VALUES: Final = "SELECT key, value FROM signal_values WHERE partition = ? AND signal = ?"
_NEXT_VALUES: Final = f"{_ALL_VALUES} AND key > ? ORDER BY key LIMIT ?"
_NEXT_WITHOUT_TAILS: Final = f"{_ALL_VALUES} AND key > ? AND substr(key, 1, 1) <> '{tails.PREFIX}' ORDER BY key LIMIT ?"
_CHANGED_VALUES: Final = f"{_ALL_VALUES} AND changed > ?"


class SqliteSignalStore:
    """Implements SignalStore; creates the file if it is missing. For one thread at a time."""

    def __init__(self, folder: Path) -> None:
        with _translate_errors():
            sqlite_files.create(folder / FILE, "signals")
            self._connection = sqlite_files.connect(folder / FILE, synchronous="NORMAL")

    def fence(self, partition: int, signal: str) -> Fence | None:
        """See SignalStore."""
        with _translate_errors():
            return _fence(self._connection, partition, signal)

    def load(self, partition: int, signal: str, keys: Sequence[str]) -> list[bytes | None]:
        """See SignalStore."""
        with _translate_errors():
            return _load(self._connection, partition, signal, keys)

    def commit(
        self, partition: int, signal: str, expected: Fence | None, fence: Fence, values: Mapping[str, bytes | None]
    ) -> None:
        """See SignalStore."""
        with _translate_errors(), sqlite_files.transaction(self._connection):
            self._move_fence(partition, signal, expected, fence)
            self._write(partition, signal, fence, values)

    def reset(self, partition: int, signal: str, expected: Fence | None, fence: Fence) -> None:
        """See SignalStore."""
        with _translate_errors(), sqlite_files.transaction(self._connection):
            self._move_fence(partition, signal, expected, fence)
            if (
                expected is not None
                and expected.offset >= 0
                and _fence(self._connection, partition, _aside(signal)) is None
            ):
                self._connection.execute(_RENAME, (_aside(signal), partition, signal))
                self._connection.execute(_SET_FENCE, (partition, _aside(signal), *expected))
            self._connection.execute(_REMOVE_ALL, (partition, signal))

    def aside(self, partition: int, signal: str) -> Fence | None:
        """See SignalStore."""
        return self.fence(partition, _aside(signal))

    def restore(self, partition: int, signal: str, expected: Fence | None) -> None:
        """See SignalStore."""
        with _translate_errors(), sqlite_files.transaction(self._connection):
            fence = _fence(self._connection, partition, _aside(signal))
            if fence is not None:
                self._move_fence(partition, signal, expected, fence)
                self._connection.execute(_REMOVE_ALL, (partition, signal))
                self._connection.execute(_RENAME, (signal, partition, _aside(signal)))
                self._connection.execute(_REMOVE_FENCE, (partition, _aside(signal)))

    def discard_aside(self, partition: int, signal: str) -> None:
        """See SignalStore."""
        with _translate_errors(), sqlite_files.transaction(self._connection):
            self._connection.execute(_REMOVE_ALL, (partition, _aside(signal)))
            self._connection.execute(_REMOVE_FENCE, (partition, _aside(signal)))

    def discard(self, partition: int, signal: str) -> None:
        """See SignalStore."""
        with _translate_errors(), sqlite_files.transaction(self._connection):
            self._connection.execute(_REMOVE_ALL, (partition, signal))
            self._connection.execute(_REMOVE_FENCE, (partition, signal))

    def replace(self, partition: int, replacements: Sequence[Replacement], *, back: bool = False) -> None:
        """See SignalStore. One transaction; other commits wait for it."""
        with _translate_errors(), sqlite_files.transaction(self._connection):
            for replacement in replacements:
                self._replace(partition, replacement, back=back)

    def _replace(self, partition: int, replacement: Replacement, *, back: bool) -> None:
        signal, expected, fence, batches = replacement
        actual = _fence(self._connection, partition, signal)
        self._move_fence(partition, signal, actual if back and fence.is_reached_by(actual) else expected, fence)
        self._connection.execute(_REMOVE_ALL, (partition, signal))
        for values in batches:
            self._write(partition, signal, fence, values)

    def _write(self, partition: int, signal: str, fence: Fence, values: Mapping[str, bytes | None]) -> None:
        changed = fence.offset if signal in FOLLOWED else None
        written = [(partition, signal, key, value, changed) for key, value in values.items() if value is not None]
        removed = (
            tails.removed(values) if signal in IN_PARTS else [key for key, value in values.items() if value is None]
        )
        self._connection.executemany(_SET_VALUE, written)
        self._connection.executemany(_REMOVE_VALUE, [(partition, signal, key) for key in removed])

    def scan(self, partition: int, signal: str, page: int = PAGE) -> Iterator[tuple[str, bytes]]:
        """See SignalStore; ordered by key. It holds no cursor between two pages."""
        last, query = "", _NEXT_WITHOUT_TAILS if signal in IN_PARTS else _NEXT_VALUES
        while True:
            with _translate_errors():
                rows = self._connection.execute(query, (partition, signal, last, page)).fetchall()
                values = _values(rows)
                if signal in IN_PARTS:
                    values = _join_bases(self._connection, partition, signal, values)
            yield from values.items()
            if len(rows) < page:
                return
            last = rows[-1][0]

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def _move_fence(self, partition: int, signal: str, expected: Fence | None, fence: Fence) -> None:
        actual = _fence(self._connection, partition, signal)
        if actual != expected:
            raise FenceMoved(partition, signal, actual)
        self._connection.execute(_SET_FENCE, (partition, signal, *fence))


class SqliteSignalReader:
    """Implements SignalReader beside the store, in this process or another.

    It reads on the event loop's thread: a read takes microseconds, less than a switch to another
    thread. Only changes may be many, so a thread reads them, with a connection of its own.
    It creates the file if it is missing, so it may be opened before the store.
    """

    def __init__(self, folder: Path) -> None:
        with _translate_errors():
            sqlite_files.create(folder / FILE, "signals")
            self._connection = sqlite_files.connect(folder / FILE, synchronous="NORMAL")
            self._changes_connection = sqlite_files.connect(folder / FILE, synchronous="NORMAL")
        self._changes_lock = Lock()

    async def read(self, partition: int, signal: str, keys: Sequence[str]) -> SignalValues:
        """See SignalReader."""
        with _translate_errors(), sqlite_files.transaction(self._connection, "DEFERRED"):
            fence = _fence(self._connection, partition, signal)
            return SignalValues(fence, _load(self._connection, partition, signal, keys))

    async def fences(self, signal: str, partitions: Sequence[int]) -> dict[int, Fence]:
        """See SignalReader."""
        with _translate_errors():
            fences = {partition: _readable_fence(self._connection, partition, signal) for partition in partitions}
        return {partition: fence for partition, fence in fences.items() if fence is not None}

    async def changes(self, partition: int, signal: str, since: Fence | None) -> SignalChanges:
        """See SignalReader."""
        if since is not None:
            with _translate_errors():
                fence = _fence(self._connection, partition, signal)
            if fence == since:
                return SignalChanges(fence, {}, whole=False)
        return await asyncio.to_thread(self._changes, partition, signal, since)

    async def close(self) -> None:
        """Closes the file."""
        self._connection.close()
        with self._changes_lock:
            self._changes_connection.close()

    def _changes(self, partition: int, signal: str, since: Fence | None) -> SignalChanges:
        connection = self._changes_connection
        with self._changes_lock, _translate_errors(), sqlite_files.transaction(connection, "DEFERRED"):
            fence = _fence(connection, partition, signal)
            whole = since is None or fence is None or fence.log_id != since.log_id or fence.offset < since.offset
            if whole or since is None:
                rows = connection.execute(_ALL_VALUES, (partition, signal))
            else:
                rows = connection.execute(_CHANGED_VALUES, (partition, signal, since.offset))
            return SignalChanges(fence, _values(rows), whole)


def _aside(signal: str) -> str:
    """Returns the name under which the values of a signal are set aside."""
    return f"{signal}:aside"


def _fence(connection: sqlite3.Connection, partition: int, signal: str) -> Fence | None:
    """Returns the fence; raises ValueCorrupt."""
    row = connection.execute(_FENCE, (partition, signal)).fetchone()
    if row is None:
        return None
    log_id, offset = row
    if not (isinstance(log_id, str) and isinstance(offset, int) and log_id and offset >= -1):
        raise ValueCorrupt(partition, signal, (), f"the fence is {str(row)[:100]}")
    return Fence(log_id, offset)


def _readable_fence(connection: sqlite3.Connection, partition: int, signal: str) -> Fence | None:
    """Returns the fence, or None if it cannot be read."""
    try:
        return _fence(connection, partition, signal)
    except ValueCorrupt:
        return None


def _values(rows: Iterable[tuple[Any, Any]]) -> dict[str, bytes]:
    """Returns the values by key. Something of another type is empty bytes, at which decoding fails; a foreign key is left out."""
    return {key: value if type(value) is bytes else b"" for key, value in rows if type(key) is str}


def _load(connection: sqlite3.Connection, partition: int, signal: str, keys: Sequence[str]) -> list[bytes | None]:
    values = _stored(connection, partition, signal, keys)
    if signal in IN_PARTS:
        values = _join_bases(connection, partition, signal, values)
    return [values.get(key) for key in keys]


def _stored(connection: sqlite3.Connection, partition: int, signal: str, keys: Sequence[str]) -> dict[str, bytes]:
    values: dict[str, bytes] = {}
    for start in range(0, len(keys), KEYS_AT_ONCE):
        chunk = keys[start : start + KEYS_AT_ONCE]
        marks = ",".join("?" * len(chunk))
        rows = connection.execute(f"{_ALL_VALUES} AND key IN ({marks})", (partition, signal, *chunk))
        values.update(_values(rows))
    return values


def _join_bases(
    connection: sqlite3.Connection, partition: int, signal: str, values: dict[str, bytes]
) -> dict[str, bytes]:
    """Returns the values joined with their tails. A base is read again with its tail, at one moment."""
    bases = [key for key, data in values.items() if tails.is_base(data)]
    if not bases:
        return values
    # An even number of keys at once, so that one query reads a base and its tail.
    joined = tails.join_all(_stored(connection, partition, signal, tails.with_tails(bases)))
    return {key: data for key, data in values.items() if not tails.is_base(data)} | joined


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(
            f"the embedded signal store did not answer ({error}); look at the disk and at {FILE}, "
            "which can be removed while nothing runs: it is rebuilt from the log"
        ) from error


ADAPTER: Final = Adapter(
    ("sqlite",),
    signal_store=lambda address: SqliteSignalStore(sqlite_files.folder_of(address)),
    signal_reader=lambda address: SqliteSignalReader(sqlite_files.folder_of(address)),
)
"""Signals at ``sqlite://folder``."""
