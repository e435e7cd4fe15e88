"""A record at which a fold raises becomes a dead letter. All other records count exactly once, however the log is cut."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearline import processor as processors
from nearline.isolation import IsolatingProcessor
from nearline.processor import EventProcessor
from nearline.recovery.in_memory_store import InMemorySignalStore
from schemas.errors import StoreUnavailable
from schemas.events import LoggedEvent
from schemas.log.codec import encode_event
from schemas.log.records import Record
from schemas.log.topics import EVENTS
from signals import aggregates, user_codec, users

START = datetime(2026, 1, 1, tzinfo=UTC)
USERS_POISON, COUNTERS_POISON = "poison for users", "poison for aggregates"
KINDS = st.sampled_from(["good", "good", "good", USERS_POISON, COUNTERS_POISON, "tombstone", "not an event"])


@pytest.fixture(autouse=True)
def poison(monkeypatch):
    """Folds that raise at an item of a certain name."""
    fold, changes = users.fold, aggregates.changes

    def fold_users(value, event, offset):
        if event.item_id == USERS_POISON:
            raise OverflowError("int too large to convert to float")
        return fold(value, event, offset)

    def collect_changes(transitions):
        yield from changes(transitions)
        if any(transition.event.item_id == COUNTERS_POISON for transition in transitions):
            raise KeyError(COUNTERS_POISON)

    monkeypatch.setattr(processors.users, "fold", fold_users)
    monkeypatch.setattr(processors.aggregates, "changes", collect_changes)


def log_of(kinds: list[str]) -> list[Record]:
    return [record(offset, kind) for offset, kind in enumerate(kinds)]


def record(offset: int, kind: str) -> Record:
    item = f"item{offset % 3}" if kind == "good" else kind
    event = LoggedEvent(
        event_id=f"e{offset}",
        type="click",
        user_id=f"u{offset % 2}",
        item_id=item,
        occurred_at=START,
        received_at=START,
    )
    value = {"tombstone": None, "not an event": b"{"}.get(kind, encode_event(event))
    return Record(EVENTS, 0, offset, int(START.timestamp() * 1_000), b"k", value)


def follow(records: list[Record], batches: list[int], flush_seconds: float = 0.0) -> tuple[InMemorySignalStore, dict]:
    """Works through the records in batches of these sizes, in turn. Returns the store and the reasons by offset."""
    store, letters = InMemorySignalStore(), {}
    refuse = lambda record, reason: letters.setdefault(record.offset, reason)  # noqa: E731
    worker = IsolatingProcessor(EventProcessor(0, "log-one", store, refuse, flush_seconds), refuse)
    position, now, turn = worker.resume(), 0.0, 0
    while position < len(records) or not worker.flushed:
        now += 0.4
        batch = records[position : position + batches[turn % len(batches)]]
        again = worker.process(batch, now) if batch else worker.tick(now + 100.0)
        position = again if again is not None else position + len(batch)
        turn += 1
        assert turn < 10_000
    return store, letters


def values(store: InMemorySignalStore) -> dict:
    return {signal: dict(store.scan(0, signal)) for signal in ("users", "aggregates")}


@given(st.lists(KINDS, min_size=1, max_size=30), st.lists(st.integers(1, 12), min_size=1, max_size=5))
@settings(deadline=None)
def test_poison_is_refused_and_the_rest_counts_the_same_in_any_batches(kinds, batches):
    records = log_of(kinds)
    one_by_one, expected_letters = follow(records, [1])
    together, letters = follow(records, batches, flush_seconds=1.0)
    assert letters.keys() == expected_letters.keys()
    assert letters.keys() == {n for n, kind in enumerate(kinds) if kind not in ("good", "tombstone")}
    assert values(together) == values(one_by_one)
    assert together.fence(0, "users") == together.fence(0, "aggregates")
    assert together.fence(0, "users").offset == len(kinds) - 1


def test_the_letter_of_poison_says_what_was_raised():
    _, letters = follow(log_of(["good", USERS_POISON, COUNTERS_POISON, "good"]), [4])
    assert letters == {
        1: "OverflowError: int too large to convert to float",
        2: f"KeyError: '{COUNTERS_POISON}'",
    }


def test_a_tombstone_is_passed_over_without_a_letter():
    store, letters = follow(log_of(["good", "tombstone", "good"]), [3])
    assert letters == {}
    recent = [user_codec.decode(data).recent for _, data in store.scan(0, "users")]
    assert sorted(entry.offset for entries in recent for entry in entries) == [0, 2]


def test_a_failure_of_the_store_that_passes_makes_no_record_poison():
    class Flickering(InMemorySignalStore):
        failures = 2

        def load(self, partition, signal, keys):
            if self.failures:
                self.failures -= 1
                raise ValueError("a reply was cut")
            return super().load(partition, signal, keys)

    store, letters = Flickering(), []
    refuse = lambda record, reason: letters.append(record.offset)  # noqa: E731
    worker = IsolatingProcessor(EventProcessor(0, "log-one", store, refuse, 0.0), refuse)
    position, records = worker.resume(), log_of(["good"] * 5)
    while position < len(records):
        again = worker.process(records[position:], 1.0)
        position = len(records) if again is None else again
    assert letters == []
    assert store.fence(0, "users").offset == 4


def test_a_store_that_is_away_is_no_fault_of_a_record():
    class Away(InMemorySignalStore):
        def commit(self, *_):
            raise StoreUnavailable("away")

    worker = IsolatingProcessor(EventProcessor(0, "log-one", Away(), None, 0.0), None)
    worker.resume()
    with pytest.raises(StoreUnavailable):
        worker.process(log_of(["good"]), 1.0)
