"""An event of a user with a long history writes only what changed, and the store still gives the value of the fold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearline import signal_state
from nearline.processor import EventProcessor
from nearline.signal_state import TAIL_FROM_BYTES
from schemas.errors import StoreUnavailable
from schemas.events import LoggedEvent
from schemas.keys import Signal
from schemas.values import tails
from signals import user_codec

LOG = "log-one"
KEY = "u:ann"

randoms = st.integers(0, 2**32).map(Random)


def processor(store, *, in_parts: bool = True) -> EventProcessor:
    made = EventProcessor(0, LOG, store, None, 0.0, in_parts=in_parts)
    made.resume()
    return made


def event(number: int, kind: str = "click") -> LoggedEvent:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    item = None if kind == "forget" else f"item-{number:06d}"
    return LoggedEvent(event_id=f"e{number}", type=kind, user_id="ann", item_id=item, occurred_at=at, received_at=at)


@pytest.fixture
def store(faulty_store):
    """A store that notes the commits of ``users``, and shows them as they are stored."""

    class Store(faulty_store):
        def __init__(self) -> None:
            super().__init__()
            self.written: list[dict[str, bytes | None]] = []

        def commit(self, partition, signal, expected, fence, values):
            super().commit(partition, signal, expected, fence, values)
            if signal == Signal.USERS:
                self.written.append(dict(values))

        def stored(self) -> dict[str, bytes]:
            return self._values[0, Signal.USERS]

        def users(self) -> dict[str, bytes]:
            return {key: user_codec.whole(data) for key, data in self.scan(0, Signal.USERS)}

    return Store()


@pytest.fixture
def say_each(records):
    """Processes events one by one."""

    def say_each(worker, events, start=0):
        for record in records(events, start=start):
            worker.process([record], now=float(record.offset))

    return say_each


def size(commit) -> int:
    return sum(len(data) for data in commit.values() if data is not None)


def test_a_small_value_is_written_whole_under_its_key_alone(store, say_each):
    say_each(processor(store), map(event, range(30)))
    assert all(set(commit) == {KEY} for commit in store.written)
    assert user_codec.whole(store.stored()[KEY]) == store.stored()[KEY]


def test_an_event_of_a_user_with_a_long_history_writes_a_small_part_of_the_value(store, say_each):
    worker = processor(store)
    say_each(worker, map(event, range(600)))
    value = len(store.users()[KEY])
    commits = store.written[400:]
    assert value > 5 * TAIL_FROM_BYTES
    assert 6 * sum(map(size, commits)) < value * len(commits)
    assert {tuple(commit) for commit in commits} == {(KEY, tails.tail_key(KEY)), (tails.tail_key(KEY),)}


def test_tails_weigh_no_more_than_their_base_before_it_is_written_anew(store, say_each):
    say_each(processor(store), map(event, range(300)))
    since = 0
    for commit in store.written:
        if KEY in commit:
            since, base = 0, commit[KEY]
        else:
            since += size(commit)
            assert since <= len(base)


@pytest.mark.parametrize("kind", ["forget", "retract"])
def test_what_an_event_removes_is_in_neither_part_afterwards(store, say_each, kind):
    worker = processor(store)
    say_each(worker, map(event, range(200)))
    assert b"item-000199" in store.stored()[tails.tail_key(KEY)]
    say_each(worker, [event(199, kind)], start=200)
    assert b"item-000199" not in b"".join(store.stored().values())
    assert tails.tail_key(KEY) not in store.stored()


def test_a_forgotten_user_who_comes_back_in_the_same_batch_has_no_old_tail(store, say_each, records):
    worker = processor(store)
    say_each(worker, map(event, range(200)))
    worker.process(records([event(200, "forget"), event(201)], start=200), now=300.0)
    assert list(store.stored()) == [KEY]
    assert [entry.offset for entry in user_codec.decode(store.stored()[KEY]).recent] == [201]


def test_a_worker_that_starts_goes_on_with_the_stored_tail(store, say_each):
    say_each(processor(store), map(event, range(200)))
    tail = len(store.stored()[tails.tail_key(KEY)])
    say_each(processor(store), [event(200)], start=200)
    assert list(store.written[-1]) == [tails.tail_key(KEY)]
    assert tail < size(store.written[-1]) < tail + 200


def test_values_of_the_release_before_are_read_and_become_parts_at_their_next_event(store, say_each):
    say_each(processor(store, in_parts=False), map(event, range(200)))
    assert list(store.stored()) == [KEY]
    say_each(processor(store), map(event, range(200, 202)), start=200)
    assert [list(commit) for commit in store.written[-2:]] == [[KEY, tails.tail_key(KEY)], [tails.tail_key(KEY)]]
    assert len(user_codec.decode(store.users()[KEY]).seen) == 202


def test_a_worker_that_writes_whole_values_leaves_no_part_behind(store, say_each):
    say_each(processor(store), map(event, range(200)))
    say_each(processor(store, in_parts=False), [event(200)], start=200)
    assert list(store.stored()) == [KEY]
    assert user_codec.whole(store.stored()[KEY]) == store.stored()[KEY]
    assert user_codec.decode(store.stored()[KEY]).offset == 200


def test_what_the_release_before_has_healed_beside_a_tail_is_the_value(store, say_each):
    """It finds a base that it cannot read, folds it again, and writes it whole. It knows nothing of the tail."""
    say_each(processor(store), map(event, range(200)))
    value = store.users()[KEY]
    fence = store.fence(0, Signal.USERS)
    store.commit(0, Signal.USERS, fence, fence, {KEY: value})
    assert dict(store.scan(0, Signal.USERS)) == {KEY: value}
    say_each(processor(store), [event(200)], start=200)
    assert user_codec.decode(store.users()[KEY]).offset == 200
    assert tails.tail_key(KEY) not in store.stored()


@given(randoms, st.integers(1, 200), st.booleans())
@settings(max_examples=60)
def test_any_traffic_in_any_batches_with_deaths_gives_the_values_of_one_fold(
    traffic, records, faulty_store, random, count, mixed
):
    events = [msgspec.structs.replace(e, unlinked=random.random() < 0.3) for e in traffic(random, count, people=2)]
    log, whole, parted = records(events), faulty_store(), faulty_store()
    processor(whole, in_parts=False).process(log, now=1.0)
    parted.error = StoreUnavailable
    parted.fate = lambda: random.choice(["before", "after", None, None, None, None])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signal_state, "TAIL_FROM_BYTES", 200)
        patch.setattr(signal_state, "HOT_BYTES", random.choice([1_000, 4_000_000]))
        follow(parted, log, random, mixed=mixed)
    stored = {signal: dict(parted.scan(0, signal)) for signal in Signal}
    stored[Signal.USERS] = {key: user_codec.whole(data) for key, data in stored[Signal.USERS].items()}
    assert stored == whole.everything()


def follow(store, log, random, *, mixed: bool) -> None:
    """Applies all records in random batches. Each failure starts another worker, which may write whole values if ``mixed``."""
    position, worker = 0, None
    while worker is None or position < len(log) or not worker.flushed:
        try:
            if worker is None:
                worker = EventProcessor(0, LOG, store, None, 0.5, in_parts=not mixed or random.random() < 0.5)
                position = worker.resume()
            batch = log[position : position + random.randrange(1, 12)]
            if batch:
                worker.process(batch, now=float(position))
                position = batch[-1].offset + 1
            else:
                worker.flush(1e9)
        except StoreUnavailable:
            worker = None
