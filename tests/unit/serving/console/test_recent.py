"""The newest records of the log: what is new is read once, and never more than is kept."""

from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from schemas.events import LoggedEvent
from schemas.log.codec import encode_event
from schemas.log.records import Record
from serving.console.recent import EVENTS_KEPT, LogParts, RecentLog

AT = datetime(2026, 12, 1, tzinfo=UTC)


class Log:
    """A LogReader of two partitions over lists, which counts the records it gives."""

    def __init__(self):
        self.records = {0: [], 1: []}
        self.id = "one"
        self.given = 0

    def add(self, partition, count=1, value=None):
        for _ in range(count):
            offset = len(self.records[partition])
            event = LoggedEvent(event_id=str(offset), type="view", user_id="ann", occurred_at=AT, received_at=AT)
            stamp = int(AT.timestamp() * 1_000) + offset
            self.records[partition].append(
                Record("events", partition, offset, stamp, b"ann", value or encode_event(event))
            )

    def log_id(self, topic):
        return self.id

    def partitions(self, topic):
        return 2

    def bounds(self, topic, partition):
        return 0, len(self.records[partition])

    def read(self, topic, partition, offset, limit):
        batch = self.records[partition][offset : offset + limit]
        self.given += len(batch)
        return batch


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def recent(log):
    now = [0.0]

    @contextmanager
    def open_log():
        yield LogParts(log, [])

    def clock():
        now[0] += 10
        return now[0]

    return RecentLog(open_log, clock)


def test_the_newest_event_comes_first_whatever_its_partition(log, recent):
    log.add(0, 2)
    log.add(1, 1)
    assert [str(event.token) for event in recent.window().events] == ["0:1", "0:0", "1:0"]


def test_of_a_long_log_the_end_alone_is_read(log, recent):
    log.add(0, 10 * EVENTS_KEPT)
    assert len(recent.window().events) == EVENTS_KEPT
    assert log.given == EVENTS_KEPT


def test_what_was_read_is_not_read_again(log, recent):
    log.add(0, 5)
    recent.window()
    log.add(0, 1)
    assert len(recent.window().events) == 6
    assert log.given == 6


def test_many_lookers_read_the_log_once_a_second(log):
    @contextmanager
    def open_log():
        yield LogParts(log, [])

    recent = RecentLog(open_log, lambda: 100.0)
    recent.window()
    log.add(0, 1)
    assert recent.window().events == []


def test_another_log_begins_anew(log, recent):
    log.add(0, 5)
    recent.window()
    log.id, log.records = "two", {0: [], 1: []}
    log.add(1, 1)
    assert [str(event.token) for event in recent.window().events] == ["1:0"]


def test_what_cannot_be_decoded_is_shown_with_its_fault(log, recent):
    log.add(0, 1, value=b"{")
    [event] = recent.window().events
    assert event.event is None
    assert event.fault
