"""A log in memory that can be cut, replaced or silent, and partition workers over it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from nearline.cluster.assignment import Assignment
from nearline.loop import EmbeddedLoop
from nearline.partition_worker import WorkerDependencies
from nearline.recovery.archive_reader import no_archive
from nearline.recovery.in_memory_store import InMemorySignalStore
from schemas.errors import LogUnavailable, StoreUnavailable, ValueCorrupt
from schemas.events import LoggedEvent
from schemas.log import topics
from schemas.log.codec import encode_event
from schemas.log.records import Record

START = datetime(2026, 1, 1, tzinfo=UTC)


class ListLog:
    """A LogReader over lists; offsets are those of the records, so gaps can be made."""

    def __init__(self) -> None:
        self.id, self.silent = "cluster/one", False
        self.begin: dict[tuple[str, int], int] = {}
        self.records: dict[tuple[str, int], list[Record]] = {}

    def put(self, offset: int, value: bytes | None, topic: str = topics.EVENTS) -> Record:
        """Adds a record with any bytes, as a producer without the collector may."""
        at = START + timedelta(seconds=offset)
        record = Record(topic, 0, offset, int(at.timestamp() * 1_000), b"k", value)
        self.records.setdefault((topic, 0), []).append(record)
        return record

    def add(self, offset: int, topic: str = topics.EVENTS, partition: int = 0) -> Record:
        at = START + timedelta(seconds=offset)
        event = LoggedEvent(
            event_id=f"e{offset}",
            type="click",
            user_id=f"user{offset % 5}",
            item_id=f"item{offset % 7}",
            occurred_at=at,
            received_at=at,
        )
        record = Record(topic, partition, offset, int(at.timestamp() * 1_000), b"k", encode_event(event))
        self.records.setdefault((topic, partition), []).append(record)
        return record

    def log_id(self, topic: str) -> str:
        self._speak()
        return self.id

    def partitions(self, topic: str) -> int:
        return 1

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        self._speak()
        held = self.records.get((topic, partition), [])
        return self.begin.get((topic, partition), 0), held[-1].offset + 1 if held else 0

    def ends(self) -> dict[tuple[str, int], int]:
        self._speak()
        return {place: held[-1].offset + 1 for place, held in self.records.items() if held}

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        self._speak()
        first = max(offset, self.begin.get((topic, partition), 0))
        return [r for r in self.records.get((topic, partition), []) if r.offset >= first][:limit]

    def close(self) -> None: ...

    def _speak(self) -> None:
        if self.silent:
            raise LogUnavailable("silent")


class Breakable(InMemorySignalStore):
    """A store that can be away, and can lose all it had."""

    def __init__(self) -> None:
        super().__init__()
        self.away, self.resets = False, 0
        self.unreadable: set[tuple[int, str]] = set()
        """Places of fences that cannot be read."""

    def fence(self, partition, signal):
        self._be_there()
        if (partition, signal) in self.unreadable:
            raise ValueCorrupt(partition, signal, (), "foreign")
        return super().fence(partition, signal)

    def discard(self, partition, signal):
        self.unreadable.discard((partition, signal))
        super().discard(partition, signal)

    def stored(self, signal: str) -> dict[str, bytes]:
        """The stored values of partition 0, which a test may damage."""
        return self._values[0, signal]

    def put_fence(self, partition: int, signal: str, fence) -> None:
        self._fences[partition, signal] = fence

    def commit(self, *args):
        self._be_there()
        super().commit(*args)

    def reset(self, *args):
        self.resets += 1
        super().reset(*args)

    def flush(self) -> None:
        self._values.clear()
        self._fences.clear()

    def copy(self) -> tuple[dict, dict]:
        """All it holds now, for ``put_back`` later: what a failover to a replica that lags does."""
        return {place: dict(values) for place, values in self._values.items()}, dict(self._fences)

    def put_back(self, copied: tuple[dict, dict]) -> None:
        self._values, self._fences = copied

    def _be_there(self) -> None:
        if self.away:
            raise StoreUnavailable("away")


class Hands:
    """A worker's assignment with everything at hand, on a clock that the test moves."""

    def __init__(self) -> None:
        self.log, self.store, self.refused, self.now = ListLog(), Breakable(), [], 1_000.0
        self.archive = no_archive

    def assignment(self) -> Assignment:
        return Assignment(WorkerDependencies(self.log, self.store, self.refuse, self.read_archive, self.time))

    def keep(self) -> Assignment:
        made = self.assignment()
        made.assign({(topics.EVENTS, 0)})
        return made

    def loop(self) -> EmbeddedLoop:
        return EmbeddedLoop(self.log, self.store, self.refuse, self.time, archive=self.read_archive)

    def refuse(self, record, reason) -> None:
        self.refused.append((record.offset, reason))

    def archived(self, until: int) -> None:
        """Retention removes the records before an offset. The archive has them."""
        records = self.log.records[topics.EVENTS, 0][:until]
        self.log.begin[topics.EVENTS, 0] = until
        self.archive = lambda topic, partition, begin, end: iter([r for r in records if begin <= r.offset < end])

    def read_archive(self, *args):
        return self.archive(*args)

    def time(self) -> float:
        return self.now

    def settle(self, assignment: Assignment | EmbeddedLoop) -> None:
        """Polls until nothing more is to do, each some seconds after the one before."""
        for _ in range(20):
            self.now += 2.0
            assignment.poll()

    def applied(self, signal: str = "users") -> int:
        fence = self.store.fence(0, signal)
        return fence.offset if fence else -1

    def clicks(self) -> int:
        """How many clicks the popularity counters count."""
        from signals.aggregates import decode

        cells = [decode(key, data) for key, data in self.store.scan(0, "aggregates") if key.startswith("pop:")]
        return sum(cell.types["click"].count for cell in cells)


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture(scope="session")
def new_hands() -> Callable[[], Hands]:
    """Makes hands of their own, for each example of a property."""
    return Hands


@pytest.fixture
def keeping(hands: Hands) -> Callable[[], Assignment]:
    """An assignment that keeps partition 0 of the events."""
    return hands.keep
