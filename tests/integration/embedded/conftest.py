"""Parts of the embedded set in a folder of the test's own."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.sqlite.log import SqliteLogReader, SqliteLogWriter
from adapters.sqlite.signals import SqliteSignalStore
from nearline.loop import EmbeddedLoop
from nearline.processor import processor_for
from nearline.recovery.in_memory_store import InMemorySignalStore
from schemas.events import LoggedEvent
from schemas.keys import Signal
from schemas.log.codec import encode_event
from schemas.log.records import LogEntry
from schemas.log.topics import DEFAULT_PARTITIONS, FACTS
from schemas.ports import SignalStore
from signals import user_codec

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def click():
    """One click as an entry for the log."""

    def click(number: int, user: str = "ann", **fields) -> LogEntry:
        given = {"type": "click", "item_id": f"item{number % 7}", **fields}
        event = LoggedEvent(event_id=f"{user}-{number}", user_id=user, occurred_at=NOW, received_at=NOW, **given)
        return LogEntry(user.encode(), encode_event(event))

    return click


@pytest.fixture
def until():
    """Waits for something to become true, and fails where it does not in time."""

    def until(happened: Callable[[], bool], seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.002)

    return until


@pytest.fixture
def python():
    """Starts a program in another process, killed at the end of the test; its output can be read line by line."""
    started: list[subprocess.Popen[str]] = []

    def run(program: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", program, *map(str, arguments)]
        started.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def refused() -> list[tuple[str, int, str]]:
    """What the loop refused: topic, offset, reason."""
    return []


@pytest.fixture
def running_loop(tmp_path, refused):
    """The loop in a thread for the length of a ``with``, on a store of the caller's choice."""

    @contextmanager
    def running(store=None, reader=None, poll_seconds: float = 0.025) -> Iterator[EmbeddedLoop]:
        reader = reader or SqliteLogReader(tmp_path)
        store = store or SqliteSignalStore(tmp_path)
        loop = EmbeddedLoop(
            reader, store, lambda r, reason: refused.append((r.topic, r.offset, reason)), time.time, poll_seconds
        )
        stop = threading.Event()
        thread = threading.Thread(target=loop.run, args=(stop,))
        thread.start()
        try:
            yield loop
        finally:
            stop.set()
            loop.wake()
            thread.join()
            reader.close()
            store.close()

    return running


@pytest.fixture
def writer(tmp_path) -> Iterator[SqliteLogWriter]:
    opened = SqliteLogWriter(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def folded_once(tmp_path):
    """Every value of every signal as one uninterrupted fold of the folder's log leaves it."""

    def folded_once() -> dict[tuple[int, str], dict[str, bytes]]:
        store = InMemorySignalStore()
        reader = SqliteLogReader(tmp_path)
        for topic in FACTS:
            for partition in range(reader.partitions(topic)):
                processor = processor_for(topic, partition, reader.log_id(topic), store, lambda *_: None)
                processor.resume()
                processor.process(reader.read(topic, partition, 0, 1_000_000), time.time())
        reader.close()
        return kept(store)

    return folded_once


@pytest.fixture
def kept_signals(tmp_path):
    """Every value of every signal as it stands in the folder's store."""

    def kept_signals() -> dict[tuple[int, str], dict[str, bytes]]:
        store = SqliteSignalStore(tmp_path)
        try:
            return kept(store)
        finally:
            store.close()

    return kept_signals


def kept(store: SignalStore) -> dict[tuple[int, str], dict[str, bytes]]:
    """The stored values; those of users as if they were stored whole."""
    values = {(p, s): dict(store.scan(p, s)) for p in range(DEFAULT_PARTITIONS) for s in Signal}
    for (_, signal), stored in values.items():
        if signal == Signal.USERS:
            stored.update({key: user_codec.whole(data) for key, data in stored.items()})
    return values
