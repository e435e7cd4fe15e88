"""Memory of Redis on a stream of guests, with and without letting idle ones go, side by side in one run.

Guests come for a few visits within a week; some return once, weeks later. Two loops fold the same log into one Redis, under two
prefixes. Time is simulated: the log's clock goes on by a day at a time. At the end every value is compared with a fold of the log.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from prometheus_client import REGISTRY

from adapters.parquet.archive import ParquetArchive
from adapters.redis.signals import RedisSignalStore
from adapters.sqlite.log import SqliteLogReader, SqliteLogWriter
from nearline.loop import EmbeddedLoop
from nearline.passivation.guest_records import GuestRecords
from nearline.passivation.passivator import Passivation
from nearline.recovery.verify import verify
from offline.data.archive import archive_log
from schemas.events import LoggedEvent
from schemas.keys import values_key
from schemas.log import topics
from schemas.log.codec import encode_event
from schemas.log.records import LogEntry
from tests.bench.results import Figures, console
from tests.bench.system import servers

GUESTS: Final = int(os.environ.get("FRESHET_BENCH_GUESTS", "50000"))
DAYS: Final = 60
IDLE_DAYS: Final = 14
USERS: Final = 500
ITEMS: Final = 5_000
PARTITIONS: Final = 8
VISITS: Final = 2
EVENTS_A_VISIT: Final = 3
RETURNING: Final = 0.02
"""Share of guests who return once after more than IDLE_DAYS."""
START: Final = datetime(2026, 1, 1, tzinfo=UTC)


class _Days:
    """The clock of the log."""

    day = 0

    def __call__(self) -> float:
        return (START + timedelta(days=self.day)).timestamp()


class Side:
    """One loop, and its values in Redis."""

    def __init__(self, name: str, url: str, folder: Path, idle_days: int, opened: ExitStack) -> None:
        self.prefix, self.now = f"{name}:", 0.0
        self.polls = 50 if idle_days else 10
        self.store = opened.enter_context(closing(RedisSignalStore(url, self.prefix)))
        self.reader = opened.enter_context(closing(SqliteLogReader(folder)))
        records = GuestRecords(ParquetArchive(folder / "archive"), lambda: SqliteLogReader(folder))
        self.loop = EmbeddedLoop(
            self.reader, self.store, lambda *_: None, lambda: self.now, passivation=Passivation(records, idle_days)
        )

    def settle(self) -> None:
        """Polls until everything is applied, and for as long as guests may be looked for."""
        quiet = 0
        while quiet < self.polls:
            self.now += 0.15
            self.loop.poll()
            quiet = quiet + 1 if self.loop.caught_up() else 0
            time.sleep(0.0 if quiet else 0.001)

    def mebibytes(self) -> float:
        """What the values of ``users`` take in Redis."""
        names = [values_key(self.prefix, partition, "users") for partition in range(PARTITIONS)]
        sizes = [self.store._connection.execute("MEMORY", "USAGE", name, "SAMPLES", 0) for name in names]
        return round(sum(size or 0 for size in sizes) / 2**20, 2)


def measure() -> Figures:
    with ExitStack() as opened:
        settings, _ = opened.enter_context(servers(("redis",)))
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="freshet-passivation-")))
        clock = _Days()
        writer = opened.enter_context(closing(SqliteLogWriter(folder, PARTITIONS, clock=clock)))
        without = Side("without", settings.redis, folder, 0, opened)
        letting_go = Side("with", settings.redis, folder, IDLE_DAYS, opened)
        rows = []
        for clock.day, entries in enumerate(_days()):
            writer.append(topics.EVENTS, entries).result(600)
            for side in (without, letting_go):
                side.settle()
            archive_log(without.reader, ParquetArchive(folder / "archive"))
            if clock.day % 10 == 9:
                rows.append(
                    {"day": clock.day + 1, "without_mib": without.mebibytes(), "with_mib": letting_go.mebibytes()}
                )
                console.print(rows[-1])
        return Figures("cluster", _figures(rows, letting_go))


def _figures(rows: list[dict[str, Any]], letting_go: Side) -> dict[str, Any]:
    report = verify(letting_go.reader, letting_go.store, [topics.EVENTS])
    count, seconds = _metric("freshet_return_seconds_count"), _metric("freshet_return_seconds_sum")
    returned = {outcome: _metric("freshet_returned_values_total", outcome=outcome) for outcome in ("equal", "differs")}
    return {
        "guests": GUESTS,
        "days": DAYS,
        "idle_days": IDLE_DAYS,
        "events": sum(end for (topic, _), end in letting_go.reader.ends().items() if topic == topics.EVENTS),
        "memory_of_users": rows,
        "ratio": round(rows[-1]["with_mib"] / rows[-1]["without_mib"], 3),
        "let_go": _metric("freshet_passivated_values_total"),
        "returned": returned,
        "return_passes": count,
        "return_mean_s": round(seconds / max(count, 1), 3),
        "away_at_the_end": report.passivated,
        "values_equal": report.equal,
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }


def _metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def _days() -> Iterator[list[LogEntry]]:
    """Yields the events of each day."""
    chance, visits = random.Random(1), defaultdict(list)
    for guest in range(GUESTS):
        first = chance.randrange(DAYS)
        for _ in range(VISITS):
            visits[first + chance.randrange(7)].append((f"guest{guest}", "anonymous_id"))
        if chance.random() < RETURNING:
            visits[first + 7 + IDLE_DAYS + chance.randrange(30)].append((f"guest{guest}", "anonymous_id"))
    for day in range(DAYS):
        users = [(f"user{user}", "user_id") for user in range(USERS) if chance.random() < 0.3]
        yield [entry for name, of in [*visits[day], *users] for entry in _visit(chance, day, name, of)]


def _visit(chance: random.Random, day: int, name: str, of: str) -> Iterator[LogEntry]:
    at = START + timedelta(days=day)
    for _ in range(EVENTS_A_VISIT):
        event = LoggedEvent(
            event_id=f"{chance.getrandbits(96):024x}",
            type=chance.choice(["view", "view", "click", "like"]),
            item_id=f"item{int(ITEMS * chance.random() ** 2)}",
            session_id=f"{name}-{day}",
            occurred_at=at,
            received_at=at,
            **{of: name},
        )
        yield LogEntry(name.encode(), encode_event(event))
