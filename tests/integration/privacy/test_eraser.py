"""Two processes that may work at erasures: one reads the values of all users, and the other takes over if it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from deploy.config import CommandSettings
from deploy.wiring.dependencies import Dependencies, open_dependencies
from deploy.wiring.erasing import erasure_stores
from ingest.config import IngestSettings
from ingest.privacy import link_search
from ingest.privacy.eraser import Eraser
from ingest.privacy.erasure import Erasures
from ingest.privacy.requests import forget_entry, subjects_of
from nearline.forgets import LogForgetSink
from nearline.loop import EmbeddedLoop
from schemas.erasures import ErasedPlace
from schemas.events import LoggedEvent
from schemas.keys import Signal, user_key
from schemas.log import topics
from schemas.log.codec import encode_event
from schemas.log.records import LogEntry
from schemas.log.topics import DEFAULT_PARTITIONS, partition_of
from signals import user_codec

GUEST = "guest-of-the-hill"
KEEPERS = [f"keeper{number}" for number in range(40)]
ERASURE = str(uuid4())


class Scans:
    """A signal store that counts how many partitions are read."""

    def __init__(self, store: Any) -> None:
        self._store, self.count = store, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def scan(self, *args: Any) -> Any:
        self.count += 1
        return self._store.scan(*args)


class Process:
    """One process at erasures, with connections of its own."""

    def __init__(self, settings: IngestSettings, fold: Callable[[], None]) -> None:
        """``fold`` lets the worker apply what is on the log."""
        self._opened, self._fold = ExitStack(), fold
        dependencies = self._opened.enter_context(open_dependencies(settings))
        self.scans = Scans(dependencies.signals)
        self.now = time.time()
        stores = erasure_stores(dependencies, settings, lambda: self.now, lambda _: None)
        self.eraser = Eraser(stores._replace(signals=self.scans))  # type: ignore[arg-type]
        self._erasures = Erasures(dependencies.documents)

    def step(self) -> bool:
        self.now += 60.0  # whatever it waits for is due
        self._fold()
        return self.eraser.step()

    def place(self, name: str) -> ErasedPlace:
        erasure = self._erasures.find(ERASURE)
        return erasure.place(name) if erasure else ErasedPlace(place=name, state="pending")

    def step_until(self, condition: Callable[[], bool]) -> None:
        for _ in range(200):
            if condition():
                return
            self.step()
        pytest.fail(f"not reached: {self.place('links')}")

    def end(self) -> None:
        self._opened.close()


class Site:
    """An embedded site of users who were all the same guest, and the erasure of that guest."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies
        forgets = LogForgetSink(dependencies.writer)
        self._loop = EmbeddedLoop(
            dependencies.reader, dependencies.signals, lambda *_: None, time.time, forgets=forgets
        )
        now = datetime.now(UTC)
        self._append([_identify(number, user, now) for number, user in enumerate(KEEPERS)])
        self._append([forget_entry(ERASURE, number, key, now) for number, key in enumerate(subjects_of(GUEST))])

    def fold(self) -> None:
        while self._loop.poll() or not self._loop.caught_up():
            pass

    def linked(self) -> set[str]:
        """The users who have a link to the guest."""
        values = {user: self._value(user) for user in KEEPERS}
        return {user for user, data in values.items() if GUEST in user_codec.decode(data).links}

    def _value(self, user: str) -> bytes | None:
        partition = partition_of(user.encode(), DEFAULT_PARTITIONS)
        return self._dependencies.signals.load(partition, Signal.USERS, [user_key(user)])[0]

    def _append(self, entries: list[LogEntry]) -> None:
        self._dependencies.writer.append(topics.EVENTS, entries).result(20)
        self.fold()


def _identify(number: int, user: str, now: datetime) -> LogEntry:
    event = LoggedEvent(
        event_id=f"e{number}", type="identify", user_id=user, anonymous_id=GUEST, occurred_at=now, received_at=now
    )
    return LogEntry(user.encode(), encode_event(event))


@pytest.mark.timeout(120)
def test_one_process_reads_all_users_and_another_takes_over_when_it_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(link_search, "STEP_SECONDS", 0.0)  # a step reads one page
    with open_dependencies(CommandSettings(stack="embedded", data=tmp_path)) as dependencies:
        site = Site(dependencies)
        assert site.linked() == set(KEEPERS)
        first, second = (Process(IngestSettings(stack="embedded", data=tmp_path), site.fold) for _ in range(2))
        first.step_until(lambda: first.scans.count > 1)
        assert "being read" in first.place("links").detail
        for _ in range(3):
            assert not second.step()
        assert (second.scans.count, first.scans.count < DEFAULT_PARTITIONS) == (0, True)
        first.end()

        second.step_until(lambda: second.place("links").state == "done")
        assert site.linked() == set()
        assert second.scans.count == DEFAULT_PARTITIONS
        second.end()
