"""The embedded loop is woken once the log knows the fate of what was appended."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from deploy.embedded.app import _WakingWriter
from schemas.errors import LogUnavailable
from schemas.log import topics
from schemas.log.records import LogEntry, OffsetToken


class _Log:
    """A log whose appends are settled by the test."""

    def __init__(self) -> None:
        self.appended: Future = Future()

    def append(self, topic: str, entries: list[LogEntry]) -> Future:
        return self.appended


@pytest.fixture
def log():
    return _Log()


@pytest.fixture
def wakes(log):
    """What is there after an append: a list that grows by one at every wake."""
    woken: list[bool] = []
    _WakingWriter(log, lambda: woken.append(log.appended.done())).append(topics.EVENTS, [LogEntry(b"ann", b"{}")])
    return woken


def test_the_loop_is_woken_when_the_entries_are_on_the_log_and_not_before(log, wakes):
    assert wakes == []
    log.appended.set_result([OffsetToken(0, 0)])
    assert wakes == [True]


def test_the_loop_is_woken_too_where_the_log_refuses(log, wakes):
    log.appended.set_exception(LogUnavailable("the disk is full"))
    assert wakes == [True]
