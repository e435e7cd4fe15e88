"""The archive has whole files, named by ranges of offsets, with each record once. A copy continues where it stopped."""

from __future__ import annotations

import pickle
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from adapters.parquet import archive as parquet_archive
from adapters.parquet.archive import ParquetArchive
from offline.data.archive import Archived, archive_log
from offline.metrics import ARCHIVE_MISSED
from schemas.log.records import Record
from schemas.ports import ArchivedRange

DAY_MS = 86_400_000
LOG = "cluster/topic id"


def record(offset, partition=0, day=0, topic="events", value=b"{}"):
    return Record(topic, partition, offset, day * DAY_MS + offset, b"k", value)


class MemoryLog:
    """A log of lists, which hands out at most ``chunk`` records a read and may have dropped its beginning."""

    def __init__(self, records, log_id=LOG, chunk=1_000, begin=0):
        self.records, self.id, self.chunk, self.begin = records, log_id, chunk, begin

    def log_id(self, topic):
        return self.id

    def partitions(self, topic):
        return 2

    def bounds(self, topic, partition):
        held = [r.offset for r in self._of(topic, partition)]
        return (self.begin, max(held, default=self.begin - 1) + 1)

    def read(self, topic, partition, offset, limit):
        return [r for r in self._of(topic, partition) if r.offset >= offset][: min(limit, self.chunk)]

    def close(self):
        pass

    def _of(self, topic, partition):
        return [r for r in self.records if r.topic == topic and r.partition == partition and r.offset >= self.begin]


@pytest.fixture
def archive(tmp_path):
    return ParquetArchive(tmp_path / "archive")


def names(archive, topic="events"):
    return [Path(path).name.split("-", 1)[1] for path in archive.files(topic)]


def test_what_was_written_is_read_back_byte_for_byte(archive):
    records = [Record("events", 3, 7, 123, b"", b"\xff\x00"), Record("events", 3, 8, 124, "ключ".encode(), b"")]
    archive.write(LOG, records)
    assert list(archive.read("events", LOG, 3, 0, 100)) == records
    assert archive.ranges("events") == [ArchivedRange(LOG, 3, 7, 9)]


def test_only_the_offsets_asked_for_are_read(archive):
    archive.write(LOG, [record(i) for i in range(10)])
    assert [r.offset for r in archive.read("events", LOG, 0, 3, 6)] == [3, 4, 5]
    assert list(archive.read("events", LOG, 1, 0, 10)) == []
    assert list(archive.read("events", "another log", 0, 0, 10)) == []


def test_a_file_carries_the_columns_that_sql_engines_are_promised(archive):
    archive.write(LOG, [record(0)])
    [path] = archive.files("events")
    table = pq.ParquetFile(path).read()
    assert table.column_names == ["log_id", "topic", "partition", "offset", "timestamp_ms", "key", "value"]
    assert table.to_pylist()[0]["log_id"] == LOG


def test_writing_a_range_again_overwrites_it(archive):
    for value in (b"first", b"second"):
        archive.write(LOG, [record(i, value=value) for i in range(5)])
    assert names(archive) == ["p0-0-5.parquet"]
    assert {r.value for r in archive.read("events", LOG, 0, 0, 5)} == {b"second"}


def test_the_longest_of_ranges_within_each_other_counts(archive):
    for begin, end in ((0, 5), (0, 9), (2, 7)):
        archive.write(LOG, [record(i) for i in range(begin, end)])
    assert names(archive) == ["p0-0-9.parquet"]
    assert archive.ranges("events") == [ArchivedRange(LOG, 0, 0, 9)]


def test_ranges_that_overlap_are_read_once_each(archive):
    archive.write(LOG, [record(i) for i in range(6)])
    archive.write(LOG, [record(i) for i in range(4, 10)])
    assert [r.offset for r in archive.read("events", LOG, 0, 0, 10)] == list(range(10))


def test_records_go_to_the_folder_of_their_own_day(archive):
    archive.write(LOG, [record(0, day=0), record(1, day=0), record(5, day=1)])
    folders = [Path(path).parent.name for path in archive.files("events")]
    assert folders == ["received=1970-01-01", "received=1970-01-02"]
    assert names(archive) == ["p0-0-5.parquet", "p0-5-6.parquet"]


def test_clocks_that_disagree_do_not_scatter_a_batch(archive):
    records = [record(i, day=i % 2) for i in range(20)]
    archive.write(LOG, records)
    assert len(archive.files("events")) == 2
    assert list(archive.read("events", LOG, 0, 0, 20)) == records


def test_a_write_that_breaks_off_leaves_no_file_behind(archive, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(parquet_archive.pq, "write_table", full)
    with pytest.raises(OSError, match="no space"):
        archive.write(LOG, [record(0)])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_unfinished_and_strange_files_are_passed_over(archive):
    archive.write(LOG, [record(0)])
    folder = Path(archive.files("events")[0]).parent
    (folder / ".0123456789abcdef-p0-1-2.parquet.aa").write_bytes(b"half")
    (folder / "notes.parquet").write_bytes(b"not ours")
    assert names(archive) == ["p0-0-1.parquet"]


def test_two_logs_of_one_topic_stand_side_by_side(archive):
    archive.write("old", [record(0), record(1)])
    archive.write("new", [record(0)])
    assert archive.ranges("events") == [ArchivedRange("new", 0, 0, 1), ArchivedRange("old", 0, 0, 2)]


def test_an_empty_archive_has_nothing(archive):
    assert (archive.ranges("events"), archive.files("events")) == ([], [])
    archive.write(LOG, [])
    assert archive.files("events") == []


def test_it_can_be_handed_to_another_process(archive):
    archive.write(LOG, [record(0)])
    assert pickle.loads(pickle.dumps(archive)).ranges("events") == archive.ranges("events")


def test_copying_the_log_takes_every_partition_of_every_topic_of_facts(archive):
    topics = ("events", "items", "users", "answers")
    log = MemoryLog([record(i, partition, topic=t) for t in topics for partition in (0, 1) for i in range(3)])
    assert archive_log(log, archive) == Archived(18, 0)
    assert [len(archive.ranges(topic)) for topic in topics] == [2, 2, 2, 0]


def test_copying_goes_on_after_what_is_archived(archive):
    log = MemoryLog([record(i) for i in range(5)])
    archive_log(log, archive)
    log.records += [record(i) for i in range(5, 8)]
    assert archive_log(log, archive) == Archived(3, 0)
    assert archive_log(log, archive) == Archived(0, 0)
    assert names(archive) == ["p0-0-5.parquet", "p0-5-8.parquet"]


def test_a_log_made_anew_is_copied_from_its_own_beginning(archive):
    archive_log(MemoryLog([record(i) for i in range(5)]), archive)
    assert archive_log(MemoryLog([record(i) for i in range(2)], log_id="anew"), archive) == Archived(2, 0)


def test_small_reads_still_make_large_files(archive):
    log = MemoryLog([record(i) for i in range(10)], chunk=3)
    archive_log(log, archive, batch=8)
    assert names(archive) == ["p0-0-8.parquet", "p0-8-10.parquet"]


def test_a_copy_that_broke_off_goes_on_where_it_stopped(archive):
    log, read, reads = MemoryLog([record(i) for i in range(10)]), MemoryLog.read, []

    def breaks_off(*args):
        reads.append(args)
        if len(reads) == 2:
            raise ConnectionError
        return read(log, *args)

    log.read = breaks_off
    with pytest.raises(ConnectionError):
        archive_log(log, archive, batch=4)
    log.read = lambda *args: read(log, *args)
    assert archive_log(log, archive, batch=4) == Archived(6, 0)
    assert [r.offset for r in archive.read("events", LOG, 0, 0, 10)] == list(range(10))


def test_what_retention_took_first_is_said_and_counted(archive):
    before = ARCHIVE_MISSED.labels("events")._value.get()
    log = MemoryLog([record(i) for i in range(10)], begin=4)
    assert archive_log(log, archive, topics=("events",)) == Archived(6, 4)
    assert ARCHIVE_MISSED.labels("events")._value.get() == before + 4
    assert archive_log(log, archive, topics=("events",)) == Archived(0, 0)


def test_progress_reaches_the_end(archive):
    steps = []
    log = MemoryLog([record(i) for i in range(10)])
    archive_log(log, archive, batch=4, progress=lambda *step: steps.append(step))
    assert steps == [("archiving events", 4, 10), ("archiving events", 8, 10), ("archiving events", 10, 10)]
