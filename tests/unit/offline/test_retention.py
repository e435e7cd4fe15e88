"""Raw events leave the archive once their type's days have passed."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from adapters.parquet.archive import ParquetArchive
from offline.data.retention import expire
from offline.interactions.duck import run_duckdb
from offline.interactions.parameters import DAY, Parameters
from schemas.events import LoggedEvent
from schemas.log.codec import encode_event
from schemas.log.records import Record
from schemas.log.topics import EVENTS

NOW = 1_800_000_000.0
KINDS = ("view", "like", "search")
AGES = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from([0.5, 29.9, 30.1, 399.0, 401.0])), max_size=30)
DAYS = {"search": 30.0, "view": 400.0}


def a_record(offset: int, kind: str, age: float) -> Record:
    at = datetime.fromtimestamp(NOW - age * DAY, UTC)
    event = LoggedEvent(
        event_id=f"e{offset}", type=kind, user_id="view", item_id=f"i{offset}", occurred_at=at, received_at=at
    )
    return Record(EVENTS, 0, offset, int(at.timestamp() * 1_000), b"view", encode_event(event))


class Records:
    """A Rewritable in memory, which shows every record."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records

    def rewrite(self, topic, texts, change):
        assert topic == EVENTS
        after = [change("log", record) for record in self.records]
        changed = sum(new != old for new, old in zip(after, self.records, strict=True))
        self.records = after
        return changed


@given(AGES)
def test_exactly_what_is_older_than_its_type_is_kept_becomes_a_tombstone(ages):
    records = [a_record(offset, kind, age) for offset, (kind, age) in enumerate(ages)]
    stored = Records(records)
    removed = expire([stored], DAYS, NOW)
    gone = [age > DAYS.get(kind, float("inf")) for kind, age in ages]
    assert [record.value is None for record in stored.records] == gone
    assert [record.offset for record in stored.records] == [record.offset for record in records]
    assert removed == Counter(kind for (kind, _), is_gone in zip(ages, gone, strict=True) if is_gone)
    assert expire([stored], DAYS, NOW) == Counter()


def test_what_the_log_still_holds_stays_in_the_archive_too():
    stored = Records([a_record(0, "search", 31.0), a_record(1, "search", 31.0)])
    assert expire([stored], DAYS, NOW, lambda _, record: record.offset >= 1) == {"search": 1}
    assert [record.value is None for record in stored.records] == [True, False]


def test_a_record_that_is_no_event_stays():
    foreign = Record(EVENTS, 0, 0, 0, b"k", b'["view"]')
    stored = Records([foreign])
    assert expire([stored], DAYS, NOW) == Counter()
    assert stored.records == [foreign]


def test_files_are_rewritten_in_place_and_training_finds_the_rest(tmp_path):
    archive = ParquetArchive(tmp_path)
    archive.write("log", [a_record(0, "view", 401.0), a_record(1, "view", 1.0), a_record(2, "like", 401.0)])
    assert expire([archive], DAYS, NOW) == {"view": 1}
    assert [record.value is None for record in archive.read(EVENTS, "log", 0, 0, 9)] == [True, False, False]
    assert sorted(run_duckdb(archive.files(EVENTS), Parameters(now=NOW))["item"].to_pylist()) == ["i1", "i2"]


def test_training_leaves_out_what_is_not_removed_yet(tmp_path):
    archive = ParquetArchive(tmp_path)
    archive.write("log", [a_record(offset, "view", age) for offset, age in enumerate((401.0, 399.0))])
    items = run_duckdb(archive.files(EVENTS), Parameters(now=NOW, kept_days=DAYS))["item"].to_pylist()
    assert items == ["i1"]
