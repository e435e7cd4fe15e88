"""A refused record is confirmed as a dead letter, or the refusal fails."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from nearline.dead_letters import LogDeadLetterSink
from schemas.errors import LogUnavailable
from schemas.log import topics
from schemas.log.dead_letters import decode_dead_letter
from schemas.log.records import OffsetToken, Record

RECORD = Record(topics.EVENTS, 3, 41, 1_000, b"user1", b"\xff junk")


class Writer:
    """A log that settles every append as it is told to."""

    def __init__(self, result) -> None:
        self.result, self.appended = result, []

    def append(self, topic, entries):
        self.appended.append((topic, entries))
        future = Future()
        if self.result is not None:
            future.set_result([self.result])
        return future


def test_the_letter_keeps_the_bytes_the_coordinates_and_the_reason():
    writer = Writer(OffsetToken(0, 0))
    LogDeadLetterSink(writer, lambda: 1_700_000_000.0)(RECORD, "not an event")
    [(topic, [entry])] = writer.appended
    letter = decode_dead_letter(entry.value)
    assert topic == topics.DEADLETTERS
    assert (letter.topic, letter.partition, letter.offset, letter.reason) == (topics.EVENTS, 3, 41, "not an event")
    assert (letter.original(), letter.original_key()) == (RECORD.value, RECORD.key)
    assert letter.at.timestamp() == 1_700_000_000.0


@pytest.mark.parametrize("result", [LogUnavailable("no"), None], ids=["refused", "never settled"])
def test_a_letter_that_is_not_confirmed_fails(result):
    with pytest.raises(LogUnavailable):
        LogDeadLetterSink(Writer(result), lambda: 0.0, timeout=0.05)(RECORD, "not an event")
