"""The embedded log: one SQLite file in write-ahead mode. One synced commit serves many requests.

Several processes may write and read the same folder. The transaction assigns the offsets, so they have no gaps and
follow the order of commits.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import structlog

from adapters.registry import Adapter
from adapters.sqlite import files as sqlite_files
from schemas.background import BackgroundTask
from schemas.errors import ConfigurationInvalid, LogBusy, LogUnavailable
from schemas.log.records import LogEntry, OffsetToken, Record
from schemas.log.topics import DEFAULT_PARTITIONS, partition_of
from schemas.ports import Appended, Clock

FILE: Final = "log.sqlite"
COMMIT_ENTRIES: Final = 10_000
"""Most entries in one commit. A request with more entries has a commit of its own."""

_INSERT: Final = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)"
_BOUNDS: Final = """
    SELECT coalesce((SELECT min("offset") FROM records AS r WHERE r.topic = e.topic AND r.partition = e.partition),
                    next_offset), next_offset
    FROM ends AS e WHERE topic = ? AND partition = ?
"""
_SET_END: Final = "INSERT OR REPLACE INTO ends VALUES (?, ?, ?)"

log = structlog.get_logger()


class _QueuedAppend(NamedTuple):
    topic: str
    entries: Sequence[LogEntry]
    future: Future[list[Appended]]


class Upkeep(Protocol):
    """What a writer does before each commit, on its own thread."""

    @property
    def seconds(self) -> float:
        """Longest pause between two calls."""

    @property
    def gather_seconds(self) -> float:
        """How long a commit waits for more entries, because nobody waits for it."""

    def __call__(self, connection: sqlite3.Connection, now_ms: int) -> None:
        """Removes records; raises LogUnavailable where no entries may be written now."""


class SqliteLogWriter:
    """Implements LogWriter. One thread commits all requests that are queued.

    ``partitions`` is fixed when the file is created. Raises ConfigurationInvalid if the file has another number, and
    LogUnavailable if it cannot be opened. ``capacity`` is the number of entries that may wait. With ``upkeep`` the file
    is one that forgets: its commits are not synced one by one, so a power cut may take the last of them.
    """

    def __init__(
        self,
        folder: Path,
        partitions: int = DEFAULT_PARTITIONS,
        capacity: int = 20_000,
        clock: Clock = time.time,
        *,
        file: str = FILE,
        upkeep: Upkeep | None = None,
    ) -> None:
        self._partitions, self._capacity, self._clock, self._upkeep = partitions, capacity, clock, upkeep
        self._connection = _open_for_writing(folder / file, partitions, forgets=upkeep is not None)
        self._queue: deque[_QueuedAppend] = deque()
        self._waiting = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def append(self, topic: str, entries: Sequence[LogEntry]) -> Future[list[Appended]]:
        """See LogWriter. A request with more entries than the capacity is accepted only while the queue is empty."""
        future: Future[list[Appended]] = Future()
        # From here on a caller cannot cancel the future: only the log decides its result.
        future.set_running_or_notify_cancel()
        with self._changed:
            if self._closed:
                raise LogUnavailable("the log is closed: this process is shutting down, so try again shortly")
            if self._waiting and self._waiting + len(entries) > self._capacity:
                raise LogBusy(f"{self._waiting} entries wait for the log already; try again in a second")
            self._queue.append(_QueuedAppend(topic, entries, future))
            self._waiting += len(entries)
            self._changed.notify()
        return future

    def close(self) -> None:
        """Commits the queued entries, then closes the file."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        task = BackgroundTask("writing the log" if self._upkeep is None else "writing answers")
        while (requests := self._take()) is not None:
            with task.step():
                self._settle(requests)

    def _take(self) -> list[_QueuedAppend] | None:
        """The requests of the next commit, perhaps none; None only if the log is closed and everything is written."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed, self._upkeep.seconds if self._upkeep else None)
            if self._upkeep is not None and not self._closed:
                self._changed.wait_for(lambda: self._closed, self._upkeep.gather_seconds)
            if self._closed and not self._queue:
                return None
            requests: list[_QueuedAppend] = []
            count = 0
            while self._queue and (not requests or count + len(self._queue[0].entries) <= COMMIT_ENTRIES):
                requests.append(self._queue.popleft())
                count += len(requests[-1].entries)
            self._waiting -= count
            return requests

    def _settle(self, requests: list[_QueuedAppend]) -> None:
        try:
            results: list[list[Appended]] = self._write(requests)
        except (sqlite3.Error, LogUnavailable) as error:
            log.warning("log_append_failed", error=str(error), requests=len(requests))
            results = _refused(requests, error)
        except Exception as error:
            _answer(requests, _refused(requests, error))
            raise
        _answer(requests, results)

    def _write(self, requests: list[_QueuedAppend]) -> list[list[Appended]]:
        now = int(self._clock() * 1_000)
        if self._upkeep is not None:
            self._upkeep(self._connection, now)
        with sqlite_files.transaction(self._connection):
            ends = read_ends(self._connection)
            old_ends = dict(ends)
            rows = [
                (request.topic, *self._assign_offset(request.topic, entry, ends), now, entry.key, entry.value)
                for request in requests
                for entry in request.entries
            ]
            self._connection.executemany(_INSERT, rows)
            moved = [
                (*topic_partition, end) for topic_partition, end in ends.items() if old_ends.get(topic_partition) != end
            ]
            self._connection.executemany(_SET_END, moved)
        tokens = iter(rows)
        return [[OffsetToken(*next(tokens)[1:3]) for _ in request.entries] for request in requests]

    def _assign_offset(self, topic: str, entry: LogEntry, ends: dict[tuple[str, int], int]) -> tuple[int, int]:
        partition = partition_of(entry.key, self._partitions)
        offset = ends.get((topic, partition), 0)
        ends[topic, partition] = offset + 1
        return partition, offset


def _refused(requests: Sequence[_QueuedAppend], error: Exception) -> list[list[Appended]]:
    return [[_unavailable(error)] * len(request.entries) for request in requests]


def record_of(row: Sequence[Any]) -> Record:
    """The record of a row. One without a key and a value was erased: it is a tombstone, as on Kafka."""
    return Record._make((*row[:5], row[5] if row[4] or row[5] else None))


def _answer(requests: Sequence[_QueuedAppend], results: Sequence[list[Appended]]) -> None:
    for request, appended in zip(requests, results, strict=True):
        request.future.set_result(appended)


class SqliteLogReader:
    """Implements LogReader. A writer in another process may append at the same time.

    Raises LogUnavailable if the folder has no log yet. ``path`` is the file, for SQL engines that read
    it through Python's sqlite3.
    """

    def __init__(self, folder: Path, file: str = FILE) -> None:
        self.path = folder / file
        if not self.path.exists():
            raise LogUnavailable(f"there is no log in {folder}: start `freshet up` on it or import something first")
        try:
            self._connection = sqlite_files.connect(self.path)
            self._log_id, self._partitions = read_identity(self._connection)
        except sqlite3.Error as error:
            raise _unavailable(error) from error

    def log_id(self, topic: str) -> str:  # noqa: ARG002 - one file holds all topics
        """The id that was created with the file."""
        return self._log_id

    def partitions(self, topic: str) -> int:  # noqa: ARG002 - one file holds all topics
        """The number that was fixed when the file was created; the same for every topic."""
        return self._partitions

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """See LogReader; ``(0, 0)`` for a topic without records."""
        try:
            row = self._connection.execute(_BOUNDS, (topic, partition)).fetchone()
        except sqlite3.Error as error:
            raise _unavailable(error) from error
        return row or (0, 0)

    def ends(self) -> dict[tuple[str, int], int]:
        """The offset after the last, for each topic and partition that has records; one cheap query."""
        try:
            return read_ends(self._connection)
        except sqlite3.Error as error:
            raise _unavailable(error) from error

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """See LogReader."""
        query = 'SELECT * FROM records WHERE topic = ? AND partition = ? AND "offset" >= ? ORDER BY "offset" LIMIT ?'
        try:
            rows = self._connection.execute(query, (topic, partition, offset, limit)).fetchall()
        except sqlite3.Error as error:
            raise _unavailable(error) from error
        return [record_of(row) for row in rows]

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()


def read_ends(connection: sqlite3.Connection) -> dict[tuple[str, int], int]:
    """The next offset of each topic and partition."""
    rows = connection.execute("SELECT topic, partition, next_offset FROM ends")
    return {(topic, partition): end for topic, partition, end in rows}


def _open_for_writing(path: Path, partitions: int, *, forgets: bool) -> sqlite3.Connection:
    try:
        sqlite_files.create(path, "log", forgets=forgets)
        connection = sqlite_files.connect(path, "NORMAL" if forgets else "FULL")
        with sqlite_files.transaction(connection):
            identity = [("log_id", uuid.uuid4().hex), ("partitions", str(partitions))]
            connection.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", identity)
        _, stored_partitions = read_identity(connection)
    except (sqlite3.Error, OSError) as error:
        raise _unavailable(error) from error
    if stored_partitions != partitions:
        with suppress(sqlite3.Error):
            connection.close()
        raise ConfigurationInvalid(
            f"the log in {path.parent} was made with {stored_partitions} partitions and keeps them: "
            f"say {stored_partitions} instead of {partitions}, or replay it into a new folder"
        )
    return connection


def read_identity(connection: sqlite3.Connection) -> tuple[str, int]:
    """The id of a log and its number of partitions."""
    meta = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    return meta["log_id"], int(meta["partitions"])


def _unavailable(error: Exception) -> LogUnavailable:
    if isinstance(error, LogUnavailable):
        return error
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith("SQLITE_FULL"):
        advice = "the disk is full: make room, then try again"
    elif code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        advice = "another process kept it locked: try again shortly"
    else:
        advice = "look at its folder, then try again"
    return LogUnavailable(f"the embedded log did not answer ({error}); {advice}")


ADAPTER: Final = Adapter(
    ("sqlite",),
    log_writer=lambda address: SqliteLogWriter(sqlite_files.folder_of(address), address.partitions),
    log_reader=lambda address: SqliteLogReader(sqlite_files.folder_of(address)),
)
"""The log at ``sqlite://folder``."""
