"""A refused record is confirmed as a dead letter, or the refusal fails."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from nearline.dead_letters import LogDeadLetterSink
from schemas.errors import LogUnavailable, RecordTooLarge
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


class NarrowWriter:
    """A log whose topic takes records of up to a number of bytes."""

    def __init__(self, limit: int) -> None:
        self.limit, self.appended = limit, []

    def append(self, topic, entries):
        [entry] = entries
        future = Future()
        if len(entry.value) > self.limit:
            future.set_result([RecordTooLarge("too large")])
        else:
            self.appended.append(entry)
            future.set_result([OffsetToken(0, 0)])
        return future


@pytest.mark.parametrize("limit", [2_000_000, 700_000, 2_000])
def test_a_letter_too_large_for_its_topic_is_cut_and_says_so(limit):
    writer, size = NarrowWriter(limit), 1_900_000
    LogDeadLetterSink(writer, lambda: 0.0)(RECORD._replace(value=b"x" * size), "not an event")
    [entry] = writer.appended
    letter = decode_dead_letter(entry.value)
    assert letter.cut_from == size
    assert letter.original() == b"x" * len(letter.original())
    assert (
        letter.reason
        == f"not an event (only the first {len(letter.original()):,} of its 1,900,000 bytes are kept here)"
    )
    assert (letter.topic, letter.partition, letter.offset) == (topics.EVENTS, 3, 41)


def test_a_letter_that_fits_is_whole():
    writer = NarrowWriter(2_000_000)
    LogDeadLetterSink(writer, lambda: 0.0)(RECORD._replace(value=b"x" * 1_000_000), "not an event")
    letter = decode_dead_letter(writer.appended[0].value)
    assert (letter.cut_from, len(letter.original()), letter.reason) == (None, 1_000_000, "not an event")


def test_a_reason_that_repeats_the_record_is_cut():
    writer = NarrowWriter(2_000_000)
    LogDeadLetterSink(writer, lambda: 0.0)(RECORD, "9" * 100_000)
    assert len(decode_dead_letter(writer.appended[0].value).reason) < 1_010


def test_a_topic_that_takes_no_letter_at_all_fails():
    with pytest.raises(RecordTooLarge):
        LogDeadLetterSink(NarrowWriter(10), lambda: 0.0)(RECORD, "not an event")
