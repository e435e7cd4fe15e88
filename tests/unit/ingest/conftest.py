"""A log in memory that can be made to fail, and the time that these tests live in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime

import pytest

from schemas.errors import LogBusy
from schemas.log.records import LogEntry, OffsetToken, Record
from schemas.log.topics import partition_of
from schemas.ports import Appended

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class MemoryLog:
    """A LogWriter and LogReader. ``refusals`` are raised, or given as fates, by the next appends, in order."""

    def __init__(self) -> None:
        self.records: defaultdict[tuple[str, int], list[Record]] = defaultdict(list)
        self.refusals: list[Exception | set[int]] = []
        self.requests: list[int] = []

    def append(self, topic: str, entries: Sequence[LogEntry]) -> Future[list[Appended]]:
        refusal = self.refusals.pop(0) if self.refusals else set()
        if isinstance(refusal, Exception):
            raise refusal
        self.requests.append(len(entries))
        future: Future[list[Appended]] = Future()
        future.set_result([self._fate(topic, entry, index in refusal) for index, entry in enumerate(entries)])
        return future

    def _fate(self, topic: str, entry: LogEntry, refused: bool) -> Appended:
        if refused:
            return LogBusy("this partition's leader is away")
        partition = partition_of(entry.key)
        stored = self.records[topic, partition]
        stored.append(Record(topic, partition, len(stored), 0, entry.key, entry.value))
        return OffsetToken(partition, len(stored) - 1)

    def log_id(self, topic: str) -> str:
        return "memory"

    def partitions(self, topic: str) -> int:
        return 8

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, len(self.records[topic, partition])

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        return self.records[topic, partition][offset : offset + limit]

    def all(self, topic: str) -> list[Record]:
        return [record for (name, _), records in sorted(self.records.items()) if name == topic for record in records]

    def close(self) -> None:
        """Nothing to let go of."""


@pytest.fixture
def memory_log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def noon() -> datetime:
    return NOON
