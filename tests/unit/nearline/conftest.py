"""Logs made of lists, and stores that fail on request."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from nearline.recovery.in_memory_store import InMemorySignalStore
from schemas.events import LoggedEvent
from schemas.keys import Signal
from schemas.log.codec import encode_event
from schemas.log.records import Record
from schemas.log.topics import EVENTS

LOG = "log-one"
TAKEN_MS = 1_800_000_000_000


class Died(Exception):
    """The worker's process ended here."""


class FaultyStore(InMemorySignalStore):
    """A store that may fail around each commit: ``fate`` is asked for 'before', 'after' or nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.fate: Callable[[], str | None] = lambda: None
        self.error: type[Exception] = Died
        self.commits: list[tuple[str, int]] = []

    def commit(self, partition, signal, expected, fence, values):
        fate = self.fate()
        if fate == "before":
            raise self.error("before the commit")
        super().commit(partition, signal, expected, fence, values)
        self.commits.append((signal, fence.offset))
        if fate == "after":
            raise self.error("after the commit")

    def everything(self) -> dict[str, dict[str, bytes]]:
        """Every value of partition 0, by signal."""
        return {signal: dict(self.scan(0, signal)) for signal in Signal}


@pytest.fixture(scope="session")
def faulty_store() -> type[FaultyStore]:
    return FaultyStore


@pytest.fixture(scope="session")
def records() -> Callable[..., list[Record]]:
    """Events, or bytes in their place, as records of one partition."""

    def records(events: Sequence[LoggedEvent | bytes], topic: str = EVENTS, start: int = 0) -> list[Record]:
        values = [e if isinstance(e, bytes) else encode_event(e) for e in events]
        return [Record(topic, 0, offset, TAKEN_MS, b"k", value) for offset, value in enumerate(values, start=start)]

    return records
