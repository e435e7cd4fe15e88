"""What the embedded log promises beyond the contract: full queues and disks, locks, processes that die."""

from __future__ import annotations

import sqlite3

import pytest

from adapters.sqlite import files as sqlite_files
from adapters.sqlite.log import FILE, SqliteLogReader, SqliteLogWriter
from schemas.background import failing
from schemas.errors import ConfigurationInvalid, LogBusy, LogUnavailable
from schemas.log.records import LogEntry, OffsetToken
from schemas.log.topics import ALL, EVENTS

WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
from adapters.sqlite.log import SqliteLogWriter
from schemas.log.records import LogEntry
writer, name = SqliteLogWriter(Path(sys.argv[1])), sys.argv[2]
for number in range(int(sys.argv[3])):
    entries = [LogEntry(f"k{i}".encode(), f"{name}-{number}-{i}".encode()) for i in range(3)]
    tokens = writer.append("events", entries).result()
    print(*(f"{token}={entry.value.decode()}" for token, entry in zip(tokens, entries)), flush=True)
"""


def everything(folder) -> dict[str, str]:
    reader = SqliteLogReader(folder)
    found = {}
    for partition in range(reader.partitions(EVENTS)):
        for record in reader.read(EVENTS, partition, 0, 1_000_000):
            found[f"{record.partition}:{record.offset}"] = record.value.decode()
    reader.close()
    return found


def entries(count: int) -> list[LogEntry]:
    return [LogEntry(b"k", str(i).encode()) for i in range(count)]


@pytest.fixture
def held(tmp_path):
    """The file's write lock, held by another connection for the length of a ``with``."""
    connection = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    yield sqlite_files.transaction(connection)
    connection.close()


def test_everything_acknowledged_is_there_after_kill_9(tmp_path, python):
    process = python(WRITE_UNTIL_KILLED, tmp_path, "w", 1_000_000)
    lines = [process.stdout.readline() for _ in range(200)]
    process.kill()
    lines += process.communicate()[0].splitlines()[:-1]  # the last line may be cut
    acknowledged = dict(pair.split("=") for line in lines for pair in line.split())
    assert len(acknowledged) >= 600
    found = everything(tmp_path)
    assert acknowledged.items() <= found.items()
    assert len(found) - len(acknowledged) <= 6


def test_a_killed_writers_log_goes_on_without_gaps(tmp_path, python):
    process = python(WRITE_UNTIL_KILLED, tmp_path, "w", 1_000_000)
    process.stdout.readline()
    process.kill()
    process.wait()
    writer = SqliteLogWriter(tmp_path)
    (token,) = writer.append(EVENTS, entries(1)).result(10)
    writer.close()
    reader = SqliteLogReader(tmp_path)
    offsets = [record.offset for record in reader.read(EVENTS, token.partition, 0, 1_000_000)]
    assert offsets == list(range(token.offset + 1))


def test_several_processes_write_one_log(tmp_path, python):
    writers = [python(WRITE_UNTIL_KILLED, tmp_path, name, 60) for name in "abc"]
    outputs = [process.communicate(timeout=60)[0] for process in writers]
    acknowledged = [pair.split("=") for output in outputs for pair in output.split()]
    assert len(acknowledged) == 3 * 60 * 3
    assert everything(tmp_path) == dict(acknowledged)


def test_a_full_queue_is_busy_and_appends_nothing(tmp_path, held, until):
    writer = SqliteLogWriter(tmp_path, capacity=10)
    with held:
        under_way = writer.append(EVENTS, entries(1))
        until(lambda: not writer._queue)
        waiting = writer.append(EVENTS, entries(9))
        with pytest.raises(LogBusy, match="try again"):
            writer.append(EVENTS, entries(2))
    assert len(under_way.result(10) + waiting.result(10)) == 10
    writer.close()
    assert len(everything(tmp_path)) == 10


def test_an_append_larger_than_the_queue_is_taken_when_it_is_empty(tmp_path):
    writer = SqliteLogWriter(tmp_path, capacity=10)
    assert len(writer.append(EVENTS, entries(100)).result(10)) == 100
    writer.close()


def test_requests_that_wait_together_share_a_commit(tmp_path, held):
    writer = SqliteLogWriter(tmp_path)
    statements: list[str] = []
    writer._connection.set_trace_callback(statements.append)
    with held:
        futures = [writer.append(EVENTS, entries(2)) for _ in range(100)]
    assert all(len(future.result(10)) == 2 for future in futures)
    writer.close()
    assert 1 <= statements.count("COMMIT") <= 2


def test_a_caller_that_goes_away_does_not_stop_the_writer(tmp_path, held):
    writer = SqliteLogWriter(tmp_path)
    with held:
        gone = writer.append(EVENTS, entries(1))
        assert not gone.cancel()
    assert isinstance(gone.result(10)[0], OffsetToken)
    assert isinstance(writer.append(EVENTS, entries(1)).result(10)[0], OffsetToken)
    writer.close()


def test_a_full_disk_is_said_for_each_entry_and_survived(tmp_path):
    writer = SqliteLogWriter(tmp_path)
    writer.append(EVENTS, entries(1)).result(10)
    (pages,) = writer._connection.execute("PRAGMA page_count").fetchone()
    writer._connection.execute(f"PRAGMA max_page_count={pages}")
    large = [LogEntry(b"k", b"x" * 100_000)] * 3
    fates = writer.append(EVENTS, large).result(10)
    assert [type(fate) for fate in fates] == [LogUnavailable] * 3
    assert "the disk is full: make room" in str(fates[0])
    writer._connection.execute("PRAGMA max_page_count=1000000")
    tokens = writer.append(EVENTS, large).result(10)
    assert [token.offset for token in tokens] == [1, 2, 3]
    writer.close()
    assert len(everything(tmp_path)) == 4


def test_a_log_that_stays_locked_is_said_and_survived(tmp_path, held, monkeypatch):
    monkeypatch.setattr(sqlite_files, "BUSY_SECONDS", 0.05)
    writer = SqliteLogWriter(tmp_path)
    with held:
        (fate,) = writer.append(EVENTS, entries(1)).result(10)
        assert isinstance(fate, LogUnavailable)
        assert "another process kept it locked" in str(fate)
    assert isinstance(writer.append(EVENTS, entries(1)).result(10)[0], OffsetToken)
    writer.close()
    assert len(everything(tmp_path)) == 1


def test_a_damaged_file_is_a_sentence(tmp_path):
    (tmp_path / FILE).write_bytes(b"not a database, whatever its name says" * 100)
    with pytest.raises(LogUnavailable, match="not a database"):
        SqliteLogWriter(tmp_path)
    with pytest.raises(LogUnavailable, match="not a database"):
        SqliteLogReader(tmp_path)


def test_a_folder_without_a_log_says_what_to_do(tmp_path):
    with pytest.raises(LogUnavailable, match=r"there is no log in .*: start `freshet up`"):
        SqliteLogReader(tmp_path)
    assert not (tmp_path / FILE).exists()


def test_the_number_of_partitions_is_fixed(tmp_path):
    SqliteLogWriter(tmp_path, partitions=3).close()
    with pytest.raises(ConfigurationInvalid, match="was made with 3 partitions"):
        SqliteLogWriter(tmp_path, partitions=8)
    SqliteLogWriter(tmp_path, partitions=3).close()
    assert SqliteLogReader(tmp_path).partitions(EVENTS) == 3


def test_a_log_made_anew_has_another_id(tmp_path):
    ids = set()
    for name in ("one", "two"):
        SqliteLogWriter(tmp_path / name).close()
        ids.add(SqliteLogReader(tmp_path / name).log_id(EVENTS))
    assert len(ids) == 2


def test_every_topic_has_offsets_of_its_own(tmp_path):
    writer = SqliteLogWriter(tmp_path)
    for topic in ALL:
        assert [token.offset for token in writer.append(topic, entries(2)).result(10)] == [0, 1]
    writer.close()
    reader = SqliteLogReader(tmp_path)
    (partition,) = {partition for _, partition in reader.ends()}
    assert reader.ends() == {(topic, partition): 2 for topic in ALL}
    assert all(reader.bounds(topic, partition) == (0, 2) for topic in ALL)


def test_records_that_were_removed_move_the_beginning_and_not_the_end(tmp_path):
    writer = SqliteLogWriter(tmp_path)
    (*_, last) = writer.append(EVENTS, entries(5)).result(10)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute('DELETE FROM records WHERE "offset" < 3')
    reader = SqliteLogReader(tmp_path)
    assert reader.bounds(EVENTS, last.partition) == (3, 5)
    assert reader.read(EVENTS, last.partition, 0, 10)[0].offset == 3
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("DELETE FROM records")
    assert reader.bounds(EVENTS, last.partition) == (5, 5)
    assert writer.append(EVENTS, entries(1)).result(10)[0].offset == 5
    writer.close()


def test_timestamps_are_of_the_clock_that_was_handed_in(tmp_path):
    writer = SqliteLogWriter(tmp_path, clock=lambda: 1_234.5678)
    (token,) = writer.append(EVENTS, entries(1)).result(10)
    writer.close()
    assert SqliteLogReader(tmp_path).read(EVENTS, token.partition, 0, 1)[0].timestamp_ms == 1_234_567


def test_a_commit_that_fails_unforeseen_fails_its_requests_and_the_writer_goes_on(tmp_path, monkeypatch, until):
    writer = SqliteLogWriter(tmp_path)
    write = writer._write
    monkeypatch.setattr(writer, "_write", lambda _: 1 / 0)
    [refused] = writer.append(EVENTS, entries(1)).result(10)
    assert isinstance(refused, LogUnavailable)
    until(lambda: any("writing the log fails" in sentence for sentence in failing()))
    monkeypatch.setattr(writer, "_write", write)
    [token] = writer.append(EVENTS, entries(1)).result(10)
    assert token.offset == 0
    writer.close()
    assert failing() == []
