"""A stack of these tests' own, whose servers they kill and wipe, and workers that they kill."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.local import stack as servers
from deploy.local.config import StackConfig
from deploy.local.errors import DownloadFailed, ProgramMissing, UnsupportedSystem, WrongJava
from schemas.catalogue import Upsert, encode_upsert
from schemas.configuration.site import key_prefix, topic_prefix
from schemas.errors import LogUnavailable
from schemas.events import LoggedEvent
from schemas.log import topics
from schemas.log.codec import encode_event
from schemas.log.records import LogEntry

ROOT = Path(__file__).resolve().parents[2]
SERVERS = ("kafka", "redis")


class Traffic:
    """Seeded events of a few hundred users, with all that a fold must bear: repeats, retractions, junk."""

    def __init__(self, writer, seed: int = 7, users: int = 300) -> None:
        self.writer, self.random, self.users = writer, random.Random(seed), users
        self.sent: list = []
        self.ids: list[tuple[str, str]] = []

    def event(self, number: int) -> LogEntry:
        user, now = f"user{self.random.randrange(self.users)}", datetime.now(UTC)
        kind = self.random.choices(["view", "click", "like", "search", "unlike", "retract"], [50, 25, 12, 5, 5, 3])[0]
        event_id = f"e{number}"
        if kind == "retract" or (self.ids and self.random.random() < 0.03):
            user, event_id = self.random.choice(self.ids) if self.ids else (user, event_id)
        self.ids = [*self.ids[-200:], (user, event_id)]
        event = LoggedEvent(
            event_id=event_id,
            type=kind,
            user_id=user,
            item_id=None if kind in {"search", "retract"} else f"item{self.random.randrange(200)}",
            query="zelda" if kind == "search" else None,
            occurred_at=now,
            received_at=now,
        )
        junk = self.random.random() < 0.0005
        return LogEntry(user.encode(), b"\xff not an event" if junk else encode_event(event))

    def upsert(self, number: int) -> LogEntry:
        item = f"item{self.random.randrange(200)}"
        fields = {"title": f"Game {number}", "tags": [f"t{number % 7}"]}
        return LogEntry(
            item.encode(), encode_upsert(Upsert(id=item, op="patch", fields=fields, received_at=datetime.now(UTC)))
        )

    def send(self, events: int, per_second: float, stop: threading.Event | None = None) -> None:
        """Write at this rate; returns when all are written."""
        began = time.monotonic()
        for number in range(events):
            if stop is not None and stop.is_set():
                return
            self.sent.append(self.writer.append(topics.EVENTS, [self.event(number)]))
            if number % 50 == 0:
                self.sent.append(self.writer.append(topics.ITEMS, [self.upsert(number)]))
            ahead = number / per_second - (time.monotonic() - began)
            if ahead > 0:
                time.sleep(ahead)

    def wait_until_taken(self, seconds: float) -> None:
        """Wait until the log takes entries again: a writer refuses them at once while Kafka is known to be silent."""
        until = time.monotonic() + seconds
        while isinstance(self.writer.append(topics.ITEMS, [self.upsert(0)]).result(timeout=60)[0], Exception):
            assert time.monotonic() < until, f"the log took nothing within {seconds} s"
            time.sleep(0.2)

    def confirmed(self) -> int:
        """Wait until every entry's fate is known; gives how many were confirmed (a retry may lose its answer)."""
        results = [future.result(timeout=60)[0] for future in self.sent]
        confirmed = sum(not isinstance(result, Exception) for result in results)
        assert confirmed >= 0.99 * len(results)
        return confirmed


class Cluster:
    """One site on the faults' stack: its workers, and its log and store as a test reads them."""

    def __init__(self, config: StackConfig, site: str, folder: Path) -> None:
        self.config, self.site, self.folder = config, site, folder
        environment = config.environment(SERVERS)
        self.kafka, self.redis = environment["FRESHET_KAFKA"], environment["FRESHET_REDIS"]
        self.environment = {**os.environ, **environment, "FRESHET_PREFIX": site, "FRESHET_WORKER_DIR": str(folder)}
        self.workers: list[subprocess.Popen] = []
        self.closing = contextlib.ExitStack()
        self.started = 0

    def create_topics(self) -> None:
        from adapters.kafka.log import create_topics

        create_topics(self.kafka, topic_prefix(self.site))

    def writer(self):
        from adapters.kafka.log import KafkaLogWriter

        return self._closed_later(KafkaLogWriter(self.kafka, topic_prefix(self.site)))

    def reader(self):
        from adapters.kafka.log import KafkaLogReader

        return self._closed_later(KafkaLogReader(self.kafka, topic_prefix(self.site)))

    def store(self):
        from adapters.redis.signals import RedisSignalStore

        return self._closed_later(RedisSignalStore(self.redis, key_prefix(self.site)))

    def _closed_later(self, part):
        self.closing.callback(part.close)
        return part

    def start_worker(self) -> subprocess.Popen:
        self.started += 1
        out = self.closing.enter_context((self.folder / f"worker{self.started}.log").open("wb"))
        worker = subprocess.Popen(
            [sys.executable, "-m", "nearline.main"], cwd=ROOT, env=self.environment, stdout=out, stderr=out
        )
        self.workers.append(worker)
        return worker

    def end_worker(self, worker: subprocess.Popen, how: signal.Signals) -> None:
        self.workers.remove(worker)
        worker.send_signal(how)
        try:
            worker.wait(timeout=15)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()

    def lag(self, reader, store) -> int:
        """Records on the log that some signal lacks."""
        from nearline.processor import SIGNALS

        lag = 0
        for topic, signals in SIGNALS.items():
            log_id = reader.log_id(topic)
            for partition in range(topics.DEFAULT_PARTITIONS):
                _, end = reader.bounds(topic, partition)
                for name in signals:
                    fence = store.fence(partition, name)
                    lag += end - (fence.offset + 1 if fence and fence.log_id == log_id else 0)
        return lag

    def wait_until_applied(self, seconds: float) -> None:
        reader, store, until = self.reader(), self.store(), time.monotonic() + seconds
        lag = -1
        while time.monotonic() < until:
            try:
                lag = self.lag(reader, store)
            except LogUnavailable:
                lag = -1
            if lag == 0:
                return
            time.sleep(0.25)
        pytest.fail(f"{lag} records are not applied after {seconds} s; the workers said: {self.logs()}")

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-2_000:] for path in sorted(self.folder.glob("worker*.log")))

    def verified(self):
        """The comparison of every stored value with a fold of the log, and the same as a short text."""
        from nearline.recovery.verify import verify

        report = verify(self.reader(), self.store())
        wrong = [check for check in report.checks if not check.equal]
        return report, "\n".join(
            f"{c.topic}/{c.partition} {c.signal} {c.fence} {c.differences} {c.differing} {c.problem}" for c in wrong
        )

    def close(self) -> None:
        for worker in list(self.workers):
            self.end_worker(worker, signal.SIGKILL)
        self.closing.close()


@pytest.fixture(scope="session")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackConfig]:
    config = StackConfig.with_free_ports(tmp_path_factory.mktemp("faults-stack"))
    try:
        servers.start(config, SERVERS)
    except (ProgramMissing, WrongJava, UnsupportedSystem, DownloadFailed) as error:
        if os.environ.get("FRESHET_REQUIRE_STACK") == "1":
            pytest.fail(f"FRESHET_REQUIRE_STACK=1, but {error}")
        pytest.skip(str(error))
    yield config
    servers.stop(config)
    for server in SERVERS:
        servers.wipe(config, server)


@pytest.fixture
def cluster(own_stack: StackConfig, site: str, tmp_path: Path) -> Iterator[Cluster]:
    servers.start(own_stack, SERVERS)
    made = Cluster(own_stack, site, tmp_path)
    made.create_topics()
    yield made
    made.close()


@pytest.fixture
def traffic(cluster: Cluster) -> Traffic:
    return Traffic(cluster.writer())


@pytest.fixture
def in_background() -> Iterator[Callable[[Callable[[], None]], threading.Thread]]:
    """Runs something in a thread that has ended when the test has."""
    threads: list[threading.Thread] = []

    def start(work: Callable[[], None]) -> threading.Thread:
        threads.append(threading.Thread(target=work, daemon=True))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.join(timeout=60)
