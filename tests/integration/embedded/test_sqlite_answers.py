"""Answers have a file of their own, which forgets by age and by size and leaves the rest of the disk to events."""

import sqlite3
from contextlib import closing, suppress
from typing import NamedTuple

import pytest

from adapters.sqlite import answers as sqlite_answers
from adapters.sqlite.answers import open_readers, open_writer
from adapters.sqlite.log import SqliteLogReader, SqliteLogWriter
from schemas.configuration.addresses import AnswerRetention
from schemas.errors import LogBusy, LogUnavailable
from schemas.log.records import LogEntry
from schemas.log.topics import ANSWERS, EVENTS

DAY = 86_400.0
MEBIBYTE = 1_048_576


class Disk(NamedTuple):
    total: int
    free: int


class Clock:
    now = 1_000 * DAY

    def __call__(self):
        return self.now


def write(writer, count, size=100):
    done = writer.append(ANSWERS, [LogEntry(b"ann", bytes(size)) for _ in range(count)])
    return done.result(timeout=60)


def offsets(folder):
    with closing(open_readers(folder)[0]) as reader:
        return [record.offset for record in reader.read(ANSWERS, 0, 0, 100_000)]


def used(folder):
    with closing(sqlite3.connect(folder / "answers.sqlite")) as connection:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
    return (pages - free) * size


def test_records_older_than_the_days_to_keep_go_with_the_next_commit(tmp_path):
    clock = Clock()
    with closing(open_writer(tmp_path, AnswerRetention(days=2.0), clock)) as writer:
        write(writer, 3)
        clock.now += 1.5 * DAY
        write(writer, 2)
        assert offsets(tmp_path) == [0, 1, 2, 3, 4]
        clock.now += 1.0 * DAY
        write(writer, 1)
        assert offsets(tmp_path) == [3, 4, 5]


def test_the_file_stays_within_its_size_and_keeps_the_newest(tmp_path):
    with closing(open_writer(tmp_path, AnswerRetention(mebibytes=2))) as writer:
        for _ in range(60):
            write(writer, 50, size=2_000)
        remaining = offsets(tmp_path)
        assert remaining[-1] == 2_999
        assert 800 < len(remaining) < 1_100
        assert used(tmp_path) < 2.2 * MEBIBYTE
        assert (tmp_path / "answers.sqlite").stat().st_size < 8 * MEBIBYTE


def test_space_is_given_back_to_the_disk_where_less_is_to_be_kept(tmp_path):
    with closing(open_writer(tmp_path, AnswerRetention(mebibytes=64))) as writer:
        for _ in range(12):
            write(writer, 1_000, size=2_000)
    assert (tmp_path / "answers.sqlite").stat().st_size > 20 * MEBIBYTE
    with closing(open_writer(tmp_path, AnswerRetention(mebibytes=1))) as writer:
        for _ in range(10):
            write(writer, 1)
    assert (tmp_path / "answers.sqlite").stat().st_size < 8 * MEBIBYTE


def test_records_go_in_time_also_while_nobody_reads(tmp_path, monkeypatch, until):
    monkeypatch.setattr(sqlite_answers.Retention, "seconds", 0.01)
    clock = Clock()
    with closing(open_writer(tmp_path, AnswerRetention(days=1.0), clock)) as writer:
        write(writer, 3)
        clock.now += 2 * DAY
        until(lambda: offsets(tmp_path) == [])


def test_a_flood_of_answers_never_makes_the_log_of_events_busy(tmp_path):
    with (
        closing(SqliteLogWriter(tmp_path, capacity=10)) as events,
        closing(open_writer(tmp_path, AnswerRetention())) as answers,
    ):
        with suppress(LogBusy):
            while True:
                answers.append(ANSWERS, [LogEntry(b"ann", bytes(2_000))] * 1_000)
        assert len(events.append(EVENTS, [LogEntry(b"ann", b"{}")] * 10).result(timeout=60)) == 10


def test_the_last_of_the_disk_is_left_to_events(tmp_path, monkeypatch):
    with closing(open_writer(tmp_path, AnswerRetention())) as writer:
        monkeypatch.setattr(sqlite_answers.shutil, "disk_usage", lambda _: Disk(total=1_000, free=20))
        [refused] = write(writer, 1)
        assert isinstance(refused, LogUnavailable)
        assert "events have room" in str(refused)
        monkeypatch.setattr(sqlite_answers.shutil, "disk_usage", lambda _: Disk(total=1_000, free=500))
        assert len(write(writer, 1)) == 1
    assert offsets(tmp_path) == [0]


def test_answers_that_an_earlier_version_kept_in_the_log_are_read_after_those_in_the_file(tmp_path):
    with closing(SqliteLogWriter(tmp_path)) as log:
        log.append(ANSWERS, [LogEntry(b"ann", b"old")]).result(timeout=10)
    with closing(open_writer(tmp_path, AnswerRetention())) as writer:
        write(writer, 1)
    newer, older = open_readers(tmp_path)
    assert newer.bounds(ANSWERS, 0) == (0, 1)
    assert sum(end for (topic, _), end in older.ends().items() if topic == ANSWERS) == 1
    newer.close()
    older.close()


def test_before_the_first_answer_the_log_alone_is_read(tmp_path):
    with pytest.raises(LogUnavailable, match="there is no log"):
        open_readers(tmp_path)
    SqliteLogWriter(tmp_path).close()
    [reader] = open_readers(tmp_path)
    assert isinstance(reader, SqliteLogReader)
    reader.close()
