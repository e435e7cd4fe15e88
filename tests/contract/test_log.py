"""What every log guarantees, embedded and Kafka."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

import pytest

from schemas.errors import FreshetError
from schemas.log.records import LogEntry, OffsetToken
from schemas.log.topics import EVENTS, ITEMS, USERS, partition_of

PARTITIONS = 4


def entries(count: int, keys: int = 20, tag: str = "v") -> list[LogEntry]:
    return [LogEntry(f"k{i % keys}".encode(), f"{tag}{i}".encode()) for i in range(count)]


@pytest.fixture
def append(open_log):
    writer = open_log.writer()

    def append(topic, some):
        return writer.append(topic, some).result(open_log.patience)

    return append


@pytest.fixture
def everything(open_log):
    """All records of a topic, read by a reader of its own."""

    def everything(topic=EVENTS, limit=7):
        reader = open_log.reader()
        found = []
        for partition in range(PARTITIONS):
            offset, end = reader.bounds(topic, partition)
            while offset < end:
                records = reader.read(topic, partition, offset, limit)
                found += records
                offset = records[-1].offset + 1
        return found

    return everything


def test_each_entry_stands_at_its_token(append, open_log):
    wanted = entries(50)
    tokens = append(EVENTS, wanted)
    reader = open_log.reader()
    for entry, token in zip(wanted, tokens, strict=True):
        assert isinstance(token, OffsetToken)
        record = reader.read(EVENTS, token.partition, token.offset, 1)[0]
        assert (record.topic, record.partition, record.offset) == (EVENTS, *token)
        assert (record.key, record.value) == entry


def test_ends_name_the_partitions_that_have_records_and_no_others(append, open_log):
    tokens = append(EVENTS, entries(3))
    ends: dict[tuple[str, int], int] = {}
    for token in tokens:
        ends[EVENTS, token.partition] = max(ends.get((EVENTS, token.partition), 0), token.offset + 1)
    assert open_log.reader().ends() == ends


def test_each_entry_goes_to_the_partition_of_its_key(append):
    wanted = entries(50)
    for entry, token in zip(wanted, append(EVENTS, wanted), strict=True):
        assert token.partition == partition_of(entry.key, PARTITIONS)


def test_entries_of_one_key_keep_their_order_within_and_across_appends(append, everything):
    sent = [entries(60, tag="a"), entries(60, tag="b")]
    for some in sent:
        append(EVENTS, some)
    found = everything()
    for key in {entry.key for entry in sent[0]}:
        expected = [entry.value for some in sent for entry in some if entry.key == key]
        assert [record.value for record in found if record.key == key] == expected


def test_appends_of_several_threads_and_writers_are_all_there_once(open_log, everything):
    writers = [open_log.writer(), open_log.writer()]

    def send(thread: int) -> None:
        for i in range(20):
            some = entries(5, tag=f"t{thread}-{i}-")
            tokens = writers[thread % 2].append(EVENTS, some).result(open_log.patience)
            assert all(isinstance(token, OffsetToken) for token in tokens)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(send, range(6)))
    found = [record.value for record in everything()]
    assert len(found) == len(set(found)) == 6 * 20 * 5


def test_offsets_of_a_partition_grow_in_reading_order(append, everything):
    append(EVENTS, entries(100))
    for _, records in groupby(everything(limit=3), key=lambda record: record.partition):
        offsets = [record.offset for record in records]
        assert offsets == sorted(set(offsets))


def test_topics_are_apart(append, everything):
    append(EVENTS, entries(5, tag="e"))
    append(ITEMS, entries(3, tag="i"))
    assert len(everything(EVENTS)) == 5
    assert len(everything(ITEMS)) == 3
    assert everything(USERS) == []


def test_an_append_of_nothing_is_settled_at_once(append):
    assert append(EVENTS, []) == []


def test_bytes_come_back_as_they_were(append, everything):
    odd = [LogEntry(b"k", value) for value in (b"", b"\x00", b"\xff\xfe", bytes(range(256)), b"x" * 300_000)]
    append(EVENTS, odd)
    assert [record.value for record in everything()] == [entry.value for entry in odd]


def test_records_say_when_the_log_took_them(append, everything):
    append(EVENTS, entries(1))
    first = everything()[0].timestamp_ms
    append(EVENTS, entries(1))
    assert 1_700_000_000_000 < first <= max(record.timestamp_ms for record in everything())


def test_bounds_of_an_unwritten_partition_are_equal_and_it_reads_empty(open_log):
    reader = open_log.reader()
    begin, end = reader.bounds(EVENTS, 0)
    assert begin == end
    assert reader.read(EVENTS, 0, 0, 10) == []


def test_bounds_enclose_what_can_be_read(append, open_log):
    tokens = append(EVENTS, [LogEntry(b"same", str(i).encode()) for i in range(10)])
    reader = open_log.reader()
    partition = tokens[0].partition
    begin, end = reader.bounds(EVENTS, partition)
    assert begin <= tokens[0].offset
    assert end == tokens[-1].offset + 1
    assert reader.read(EVENTS, partition, end, 10) == []
    assert [record.offset for record in reader.read(EVENTS, partition, end - 1, 10)] == [end - 1]


def test_reading_is_limited_and_goes_on_where_it_stopped(append, open_log):
    tokens = append(EVENTS, [LogEntry(b"same", str(i).encode()) for i in range(10)])
    reader, partition, first = open_log.reader(), tokens[0].partition, tokens[0].offset
    assert [r.value for r in reader.read(EVENTS, partition, first, 4)] == [b"0", b"1", b"2", b"3"]
    assert [r.value for r in reader.read(EVENTS, partition, first + 4, 4)] == [b"4", b"5", b"6", b"7"]
    assert [r.value for r in reader.read(EVENTS, partition, first, 2)] == [b"0", b"1"]


def test_an_open_reader_sees_what_is_appended_later(append, open_log):
    reader = open_log.reader()
    (token,) = append(EVENTS, [LogEntry(b"k", b"1")])
    assert [r.value for r in reader.read(EVENTS, token.partition, token.offset, 10)] == [b"1"]
    append(EVENTS, [LogEntry(b"k", b"2")])
    assert [r.value for r in reader.read(EVENTS, token.partition, token.offset + 1, 10)] == [b"2"]


def test_what_was_acknowledged_outlives_its_writer(open_log, everything):
    writer = open_log.writer()
    futures = [writer.append(EVENTS, entries(10, tag=f"{i}-")) for i in range(20)]
    writer.close()
    assert all(isinstance(token, OffsetToken) for future in futures for token in future.result(0))
    assert len(everything()) == 200


def test_a_closed_writer_takes_nothing(open_log, everything):
    writer = open_log.writer()
    writer.close()
    with pytest.raises(FreshetError):
        writer.append(EVENTS, entries(1))
    assert everything() == []


def test_the_log_keeps_its_id_and_partitions(append, open_log):
    first = open_log.reader()
    append(EVENTS, entries(1))
    second = open_log.reader()
    assert first.log_id(EVENTS) == second.log_id(EVENTS) != ""
    assert first.partitions(EVENTS) == second.partitions(EVENTS) == PARTITIONS
