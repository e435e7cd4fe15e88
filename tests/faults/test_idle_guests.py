"""Values of idle guests leave a real Redis and come back, while workers are killed: each value is that of a plain fold."""

from __future__ import annotations

import random
import re
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from schemas.configuration.site import topic_prefix
from schemas.events import LoggedEvent
from schemas.keys import anonymous_key, is_guest_key
from schemas.log import topics
from schemas.log.codec import encode_event
from schemas.log.topics import partition_of, topic_name
from signals import user_codec

pytestmark = [pytest.mark.stack, pytest.mark.slow]

GUESTS = [f"guest{number}" for number in range(160)]
PARTITIONS = topics.DEFAULT_PARTITIONS
BUSY = [
    next(f"user{n}" for n in range(999) if partition_of(f"user{n}".encode(), PARTITIONS) == partition)
    for partition in range(PARTITIONS)
]
"""A user on each partition, whose events move the time of its log."""


class AgedSite:
    """Guests and users on Kafka, with times as the test says, and what each guest did."""

    def __init__(self, cluster) -> None:
        from confluent_kafka import Producer
        from confluent_kafka.admin import AdminClient

        from adapters.kafka.topics import change_config
        from adapters.parquet.archive import ParquetArchive

        self.cluster, self.folder = cluster, cluster.folder / "archive"
        self.archive, self.reader, self.store = ParquetArchive(self.folder), cluster.reader(), cluster.store()
        self.topic = topic_name(topics.EVENTS, topic_prefix(cluster.site))
        server = {"bootstrap.servers": cluster.kafka}
        change_config(AdminClient(server), self.topic, {"message.timestamp.type": "CreateTime"})
        time.sleep(3.0)  # the broker needs a moment
        self.producer = Producer(server)
        self.chance, self.numbers = random.Random(5), count()
        self.done: dict[str, list[tuple[str, str]]] = defaultdict(list)
        cluster.environment |= {"FRESHET_IDLE_GUEST_DAYS": "1", "FRESHET_ARCHIVE": str(self.folder)}

    def put(self, names: Iterable[str], days_ago: int) -> None:
        """Each of these looks at something or likes it, so many days ago."""
        at = datetime.now(UTC) - timedelta(days=days_ago)
        for name in names:
            act = self.chance.choice(["view", "like"]), f"item{self.chance.randrange(500)}"
            self.done[name].append(act)
            event = LoggedEvent(
                event_id=f"e{next(self.numbers)}",
                type=act[0],
                item_id=act[1],
                occurred_at=at,
                received_at=at,
                **{"anonymous_id" if name.startswith("guest") else "user_id": name},
            )
            value, partition = encode_event(event), partition_of(name.encode(), PARTITIONS)
            self.producer.produce(self.topic, value, name.encode(), partition, timestamp=int(at.timestamp() * 1_000))
        assert self.producer.flush(30) == 0

    def files(self) -> list[Path]:
        return sorted((self.folder / f"topic={topics.EVENTS}").rglob("*.parquet"))

    def values(self) -> dict[str, bytes]:
        """The stored values of guests."""
        scanned = (pair for partition in range(PARTITIONS) for pair in self.store.scan(partition, "users"))
        return {key: data for key, data in scanned if is_guest_key(key)}

    def found_idle(self, worker: int) -> int:
        """The number of guests that a worker has found idle, as it says."""
        text = (self.cluster.folder / f"worker{worker}.log").read_text()
        return sum(map(int, re.findall(r"guests_idle.*guests=(\d+)", text)))

    def check(self, present: Iterable[str]) -> None:
        """These guests have what they did, in its order; all others are away, and every value is that of a fold."""
        values = self.values()
        assert values.keys() == {anonymous_key(guest) for guest in present}
        for guest in present:
            value = user_codec.decode(values[anonymous_key(guest)])
            assert [(entry.type, entry.item) for entry in value.recent] == self.done[guest]
            assert value.counters == Counter(kind for kind, _ in self.done[guest])
        report, wrong = self.cluster.verified()
        assert report.equal, wrong
        assert report.passivated == len(GUESTS) - len(values)


def wait_until(condition: Callable[[], bool], seconds: float, what: str, cluster) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            pytest.fail(f"not within {seconds} s: {what}; the workers said: {cluster.logs()}")
        time.sleep(0.1)


@pytest.mark.timeout(400)
def test_idle_guests_leave_and_return_with_their_history_while_workers_are_killed(cluster):
    from offline.data.archive import archive_log

    site = AgedSite(cluster)
    for days_ago in (5, 4, 4, 3):
        site.put(GUESTS, days_ago)
    first = cluster.start_worker()
    cluster.wait_until_applied(seconds=90)
    archive_log(site.reader, site.archive)

    # The guests are archived and found idle, and no commit has removed a value: here the worker dies.
    site.put(BUSY, days_ago=0)
    wait_until(lambda: site.found_idle(1) == len(GUESTS), 60, "all guests are found idle", cluster)
    cluster.end_worker(first, signal.SIGKILL)
    site.check(GUESTS)

    second = cluster.start_worker()
    site.put(BUSY, days_ago=0)  # a worker learns the time of a partition from the next record
    wait_until(lambda: site.found_idle(2) == len(GUESTS), 60, "the next worker finds them idle", cluster)
    site.put(BUSY, days_ago=0)
    wait_until(lambda: not site.values(), 60, "all guests are let go", cluster)
    cluster.wait_until_applied(seconds=60)
    site.check([])

    # Some return, and the worker dies while their values are folded or committed.
    returned = GUESTS[:90]
    for begin in range(0, len(returned), 30):
        site.put(returned[begin : begin + 30], days_ago=0)
        time.sleep(site.chance.uniform(0.0, 0.3))
        cluster.end_worker(second, signal.SIGKILL)
        second = cluster.start_worker()
        wait_until(lambda: len(site.values()) > begin, 90, "some guests are back", cluster)  # noqa: B023
    cluster.wait_until_applied(seconds=90)
    site.check(returned)


@pytest.mark.timeout(300)
def test_a_guest_whose_archive_is_damaged_returns_with_the_history_that_kafka_has(cluster):
    from offline.data.archive import archive_log

    site = AgedSite(cluster)
    for days_ago in (5, 4, 3):
        site.put(GUESTS, days_ago)
    worker = cluster.start_worker()
    cluster.wait_until_applied(seconds=90)
    archive_log(site.reader, site.archive)
    site.put(BUSY, days_ago=0)
    wait_until(lambda: site.found_idle(1) == len(GUESTS), 60, "all guests are found idle", cluster)
    site.put(BUSY, days_ago=0)
    wait_until(lambda: not site.values(), 60, "all guests are let go", cluster)

    for path in site.files()[::2]:
        path.write_bytes(path.read_bytes()[:-30])
    site.put(GUESTS, days_ago=0)
    cluster.wait_until_applied(seconds=90)
    site.check(GUESTS)
    assert "archive_damaged" in cluster.logs()
    assert worker.poll() is None
