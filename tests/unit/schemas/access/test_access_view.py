"""The view of the topic ``access``."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.access import keys
from schemas.access.scopes import Scope
from schemas.access.view import AccessView, read_on, with_records
from schemas.errors import LogUnavailable
from schemas.log.records import LogEntry, Record
from schemas.log.topics import ACCESS

NOW = 1_000_000.0
PARTITIONS = 3


class MemoryLog:
    """A LogReader over lists."""

    def __init__(self, log_id: str = "log-1") -> None:
        self.id = log_id
        self.records: list[list[Record]] = [[] for _ in range(PARTITIONS)]
        self.batch = 2

    def append(self, entry: LogEntry, partition: int = 0) -> None:
        offset = len(self.records[partition])
        self.records[partition].append(Record(ACCESS, partition, offset, 0, entry.key, entry.value))

    def log_id(self, topic):
        return self.id

    def partitions(self, topic):
        return PARTITIONS

    def bounds(self, topic, partition):
        return 0, len(self.records[partition])

    def ends(self):
        raise LogUnavailable("not used")

    def read(self, topic, partition, offset, limit):
        return self.records[partition][offset : offset + min(limit, self.batch)]

    def close(self):
        pass


def new_key(number: int = 0) -> keys.NewKey:
    return keys.make_key(number.to_bytes(keys.ENTROPY_BYTES, "big")[::-1], [Scope.ADMIN], NOW)


def test_a_key_is_found_by_its_text_and_by_no_other():
    log, key, other = MemoryLog(), new_key(1), new_key(2)
    log.append(keys.key_entry(key.record))
    view = read_on(AccessView(), log)
    assert view.find(key.text) == key.record
    assert view.find(other.text) is None
    assert view.find(key.text[:-1] + ("A" if key.text[-1] != "A" else "B")) is None
    assert view.find("") is None


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3)), max_size=30))
def test_reading_in_any_steps_gives_what_reading_at_once_gives(changes):
    log, view = MemoryLog(), AccessView()
    last = {}
    for number, revoked, reads in changes:
        key = new_key(number).record
        last[key.id] = keys.revoke(key, NOW) if revoked else key
        log.append(keys.key_entry(last[key.id]), partition=number % PARTITIONS)
        if not reads:
            view = read_on(view, log)
    assert read_on(view, log) == read_on(AccessView(), log)
    assert read_on(view, log).keys == last


def test_a_view_without_news_is_the_same_object():
    log = MemoryLog()
    view = read_on(AccessView(), log)
    assert view.is_known
    assert not view.had_keys
    assert read_on(view, log) is view
    log.append(keys.key_entry(new_key().record))
    assert read_on(view, log) is not view


def test_a_log_that_was_replaced_counts_alone_and_access_stays_closed():
    log, key = MemoryLog(), new_key(1)
    log.append(keys.key_entry(key.record))
    log.append(keys.key_entry(key.record))
    view = read_on(AccessView(), log)
    replaced = MemoryLog("log-2")
    after = read_on(view, replaced)
    assert (after.log_id, after.keys, after.had_keys) == ("log-2", {}, True)
    replaced.records = log.records
    assert read_on(view, replaced).log_id == "log-1", "as long as before, so it is not noticed without a look"
    assert read_on(view, replaced, check_log=True).log_id == "log-2"


def test_a_watermark_that_goes_back_on_the_same_log_loses_no_key():
    log, key = MemoryLog(), new_key(1)
    log.append(keys.key_entry(key.record))
    view = read_on(AccessView(), log)
    records, log.records = log.records, [[] for _ in range(PARTITIONS)]
    view = read_on(view, log)
    assert view.find(key.text) is not None
    log.records = records
    assert read_on(view, log).find(key.text) is not None


def test_records_of_other_kinds_change_nothing():
    view = with_records(AccessView(), [Record(ACCESS, 0, 0, 0, b"admin:ann", b"{}")])
    assert view == AccessView()


def test_a_key_whose_newest_record_cannot_be_read_is_refused():
    key = new_key(1)
    entry = keys.key_entry(key.record)
    good = Record(ACCESS, 0, 0, 0, entry.key, entry.value)
    for value in (b"{}", None, keys.key_entry(new_key(2).record).value):
        view = with_records(AccessView(), [good, Record(ACCESS, 0, 1, 0, entry.key, value)])
        assert view.find(key.text) is None
        assert view.had_keys
