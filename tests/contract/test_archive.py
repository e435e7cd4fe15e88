"""What every archive guarantees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from schemas.errors import ArchiveDamaged
from schemas.log.records import Record
from schemas.log.topics import EVENTS, ITEMS
from schemas.ports import ArchivedRange

DAY_MS = 86_400_000


def records(begin: int, end: int, partition: int = 0, topic: str = EVENTS) -> list[Record]:
    return [
        Record(topic, partition, o, 1_700_000_000_000 + o * 1_000, f"k{o % 3}".encode(), bytes([o % 256, 255, 0]))
        for o in range(begin, end)
    ]


@pytest.fixture
def read(archive):
    def read(begin: int, end: int, log_id: str = "log/one", partition: int = 0, topic: str = EVENTS) -> list[Record]:
        return list(archive.read(topic, log_id, partition, begin, end))

    return read


def test_a_new_archive_is_empty(archive, read):
    assert (archive.ranges(EVENTS), archive.files(EVENTS), read(0, 10)) == ([], [], [])


def test_records_come_back_as_they_were_in_order(archive, read):
    archive.write("log/one", records(100, 200))
    archive.write("log/one", records(0, 100))
    assert read(0, 1_000) == records(0, 200)


def test_any_part_can_be_read(archive, read):
    archive.write("log/one", records(0, 50))
    archive.write("log/one", records(50, 90))
    assert read(45, 55) == records(45, 55)
    assert read(89, 1_000) == records(89, 90)
    assert read(10, 10) == []


def test_a_range_written_again_is_there_once(archive, read):
    for _ in range(2):
        archive.write("log/one", records(0, 50))
    assert read(0, 50) == records(0, 50)
    assert archive.ranges(EVENTS) == [ArchivedRange("log/one", 0, 0, 50)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-40],
        lambda data: b"",
        lambda data: data[:4] + bytes(len(data) // 2) + data[4 + len(data) // 2 :],
    ],
)
@pytest.mark.parametrize("keys", [None, {b"k1"}])
def test_a_damaged_file_is_named_with_its_offsets(archive, damage, keys):
    archive.write("log/one", records(0, 20))
    archive.write("log/one", records(20, 500))
    path = next(Path(path) for path in archive.files(EVENTS) if path.endswith("-20-500.parquet"))
    path.write_bytes(damage(path.read_bytes()))
    reading = archive.read(EVENTS, "log/one", 0, 0, 500, keys)
    expected = [record for record in records(0, 20) if keys is None or record.key in keys]
    assert [next(reading) for _ in expected] == expected
    with pytest.raises(ArchiveDamaged, match="put it back from a backup") as raised:
        list(reading)
    assert (raised.value.begin, raised.value.end) == (20, 500)


def test_overlapping_ranges_give_each_record_once(archive, read):
    archive.write("log/one", records(0, 50))
    archive.write("log/one", records(30, 80))
    archive.write("log/one", records(0, 20))
    assert read(0, 80) == records(0, 80)


def test_logs_topics_and_partitions_are_apart(archive, read):
    archive.write("log/one", records(0, 3))
    archive.write("log/two", records(0, 5))
    archive.write("log/one", records(0, 7, partition=1))
    archive.write("log/one", records(0, 9, topic=ITEMS))
    assert [len(read(0, 99, *which)) for which in [("log/one",), ("log/two",), ("log/one", 1)]] == [3, 5, 7]
    assert read(0, 99, topic=ITEMS) == records(0, 9, topic=ITEMS)
    assert archive.ranges(EVENTS) == [
        ArchivedRange("log/one", 0, 0, 3),
        ArchivedRange("log/one", 1, 0, 7),
        ArchivedRange("log/two", 0, 0, 5),
    ]


def test_a_log_without_some_offsets_is_archived_as_it_is(archive, read):
    gaps = [record for record in records(0, 30) if record.offset % 4]
    archive.write("log/one", gaps)
    assert read(0, 30) == gaps


def test_records_of_several_days_come_back_in_order(archive, read):
    days = [record._replace(timestamp_ms=record.offset * DAY_MS // 3) for record in records(0, 12)]
    archive.write("log/one", days)
    assert read(0, 12) == days


def test_sql_reads_every_column(archive):
    archive.write("log/one", records(0, 4))
    rows = duckdb.read_parquet(archive.files(EVENTS), hive_partitioning=False).order('"offset"')
    columns = 'log_id, topic, partition, "offset", timestamp_ms, key, value'
    assert rows.select(columns).fetchall() == [("log/one", *record) for record in records(0, 4)]


def test_a_record_without_a_value_stays_one(archive, read):
    tombstone = records(0, 1)[0]._replace(value=None)
    archive.write("log/one", [tombstone, *records(1, 3)])
    assert read(0, 3) == [tombstone, *records(1, 3)]


def test_records_of_some_keys_come_alone_and_in_order(archive):
    archive.write("log/one", records(0, 50))
    archive.write("log/one", records(40, 90))
    wanted = [record for record in records(10, 80) if record.key in {b"k0", b"k2"}]
    assert list(archive.read(EVENTS, "log/one", 0, 10, 80, {b"k0", b"k2", b"nobody"})) == wanted
    assert list(archive.read(EVENTS, "log/one", 0, 0, 90, {b"nobody"})) == []


def test_it_is_complete_from_the_first_record_to_the_first_gap(archive):
    assert archive.complete_end(EVENTS, "log/one", 0) == 0
    archive.write("log/one", records(60, 80))
    assert archive.complete_end(EVENTS, "log/one", 0) == 0
    archive.write("log/one", records(0, 30))
    archive.write("log/one", records(20, 50))
    assert archive.complete_end(EVENTS, "log/one", 0) == 50
    archive.write("log/one", records(50, 60))
    assert archive.complete_end(EVENTS, "log/one", 0) == 80
    assert [archive.complete_end(*place) for place in [(EVENTS, "log/two", 0), (EVENTS, "log/one", 1)]] == [0, 0]


def test_it_tells_before_which_offset_all_records_are_of_earlier_days(archive):
    days = [record._replace(timestamp_ms=record.offset * DAY_MS // 4) for record in records(0, 12)]
    archive.write("log/one", days)
    first = datetime(1970, 1, 1, tzinfo=UTC).date()
    ends = [archive.complete_end(EVENTS, "log/one", 0, first + timedelta(days=number)) for number in range(5)]
    assert ends == [0, 4, 8, 12, 12]
