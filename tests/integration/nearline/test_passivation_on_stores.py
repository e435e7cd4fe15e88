"""Guests leave a real signal store and come back from a real archive, over a log of real files, in every partition."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta

import pytest

from adapters.parquet.archive import ParquetArchive
from adapters.sqlite.log import SqliteLogReader, SqliteLogWriter
from adapters.sqlite.signals import SqliteSignalStore
from nearline.loop import EmbeddedLoop
from nearline.passivation.guest_records import GuestRecords
from nearline.passivation.passivator import Passivation
from nearline.recovery.verify import VerifyReport, verify
from offline.data.archive import archive_log
from schemas.events import LoggedEvent
from schemas.keys import is_guest_key
from schemas.log import topics
from schemas.log.codec import encode_event
from schemas.log.records import LogEntry
from schemas.log.topics import partition_of
from schemas.ports import SignalStore

START = datetime(2026, 1, 1, tzinfo=UTC)
PARTITIONS = 2
IDLE_DAYS = 10
GUESTS = [f"guest{number}" for number in range(40)]
USERS = [next(f"user{n}" for n in range(99) if partition_of(f"user{n}".encode(), PARTITIONS) == p) for p in range(2)]
"""A busy user of each partition."""


class Site:
    """A log, an archive, a store and the loop between them. Time passes on the log as the test says."""

    def __init__(self, folder, store: SignalStore, opened: ExitStack) -> None:
        self.day, self.now, self.chance = 0, 0.0, random.Random(1)
        self.writer = opened.enter_context(closing(SqliteLogWriter(folder, PARTITIONS, clock=self.time)))
        self.reader = opened.enter_context(closing(SqliteLogReader(folder)))
        self.store, self.archive = store, ParquetArchive(folder / "archive")
        records = GuestRecords(self.archive, lambda: SqliteLogReader(folder))
        self.loop = EmbeddedLoop(
            self.reader, store, lambda *_: None, lambda: self.now, passivation=Passivation(records, IDLE_DAYS)
        )

    def time(self) -> float:
        return (START + timedelta(days=self.day)).timestamp()

    def put(self, guests: list[str]) -> None:
        """Each of these guests looks at something, and so does each user."""
        for name, of in [*((guest, "anonymous_id") for guest in guests), *((user, "user_id") for user in USERS)]:
            at = START + timedelta(days=self.day)
            event = LoggedEvent(
                event_id=f"{self.chance.random()}",
                type=self.chance.choice(["view", "like"]),
                item_id=f"item{self.chance.randrange(30)}",
                occurred_at=at,
                received_at=at,
                **{of: name},
            )
            self.writer.append(topics.EVENTS, [LogEntry(name.encode(), encode_event(event))]).result(10)
        self.settle()

    def settle(self) -> None:
        """Polls until everything is applied, and for as long as guests may be looked for."""
        deadline, quiet = time.monotonic() + 30.0, 0
        while quiet < 8:
            assert time.monotonic() < deadline, "the loop has not caught up"
            self.now += 1.0
            self.loop.poll()
            quiet = quiet + 1 if self.loop.caught_up() else 0
            time.sleep(0.0 if quiet else 0.001)

    def pass_days(self, days: int) -> None:
        archive_log(self.reader, self.archive)
        self.day += days
        for _ in range(2):
            self.put([])

    def guests(self) -> int:
        keys = [key for partition in range(PARTITIONS) for key, _ in self.store.scan(partition, "users")]
        return sum(map(is_guest_key, keys))

    def verified(self) -> VerifyReport:
        return verify(self.reader, self.store, [topics.EVENTS])


@pytest.fixture
def site_on(tmp_path):
    with ExitStack() as opened:

        def site_on(open_store: Callable[[], SignalStore]) -> Site:
            return Site(tmp_path, opened.enter_context(closing(open_store())), opened)

        yield site_on


def leave_and_return(site: Site) -> None:
    for _ in range(3):
        site.put(GUESTS)
    assert site.guests() == len(GUESTS)
    site.pass_days(IDLE_DAYS + 1)
    assert site.guests() == 0
    report = site.verified()
    assert (report.equal, report.passivated) == (True, len(GUESTS))
    site.put(GUESTS[:15])
    assert (site.guests(), site.verified().equal) == (15, True)
    site.pass_days(IDLE_DAYS + 1)
    site.put(GUESTS)
    assert site.guests() == len(GUESTS)
    report = site.verified()
    assert (report.equal, report.passivated) == (True, 0)


@pytest.mark.timeout(120)
def test_guests_leave_sqlite_and_return_with_equal_values(site_on, tmp_path):
    leave_and_return(site_on(lambda: SqliteSignalStore(tmp_path)))


@pytest.mark.stack
@pytest.mark.timeout(120)
def test_guests_leave_redis_and_return_with_equal_values(site_on, redis_url, site):
    from adapters.redis.signals import RedisSignalStore

    leave_and_return(site_on(lambda: RedisSignalStore(redis_url, f"{site}:")))
