"""Each event counts exactly once, in any division of the log into batches, and after any crash of a worker."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearline.processor import BACKLOG_BATCH, BACKLOG_DELAY_SECONDS, EventProcessor
from nearline.signal_state import SignalState, WholeValues
from schemas.errors import FenceMoved, LogUnavailable, StoreUnavailable
from schemas.events import LoggedEvent
from schemas.keys import Signal
from schemas.log.fence import Fence
from signals import user_codec, users
from signals.counters import HISTORY

LOG = "log-one"
NEVER = 1e12
"""Seconds between flushes. So only a history about to drop unread entries, or one that loses entries, makes a flush."""

randoms = st.integers(0, 2**32).map(Random)


def refuse_nothing(record, reason):
    raise AssertionError(reason)


def processor(store, flush_seconds=NEVER, refuse=refuse_nothing, log_id=LOG) -> EventProcessor:
    made = EventProcessor(0, log_id, store, refuse, flush_seconds)
    made._due = flush_seconds
    return made


def event(number: int, kind: str = "click", user: str = "ann", item: str | None = None, event_id: str | None = None):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    item = None if kind in {"forget", "search", "identify"} else item or f"i{number % 20}"
    query = "q" if kind == "search" else None
    return LoggedEvent(
        event_id=event_id or f"e{number}",
        type=kind,
        user_id=user,
        item_id=item,
        query=query,
        occurred_at=at,
        received_at=at,
    )


@pytest.fixture(scope="session")
def folded_once(faulty_store):
    """What one uninterrupted fold of all records in one batch leaves."""

    def folded_once(records):
        store = faulty_store()
        worker = processor(store, flush_seconds=0)
        worker.resume()
        worker.process(records, now=1.0)
        return store.everything()

    return folded_once


def follow(store, records, random: Random, flush_seconds: float = NEVER, errors=(FenceMoved, StoreUnavailable)) -> None:
    """Work through the records in random batches, taking up again at the fences after each failure."""
    worker, at, now = None, 0, 0.0
    while worker is None or at < len(records):
        now += random.choice([0.0, 0.4, 1.5])
        try:
            if worker is None or random.random() < 0.05:
                worker = processor(store, flush_seconds)
                at = worker.resume()
            batch = records[at : at + random.choice([1, 2, 5, 30, 200])]
            worker.process(batch, now)
            at += len(batch)
            if random.random() < 0.3:
                worker.tick(now)
        except errors:
            worker = None
    flush(store, records)


def flush(store, records) -> None:
    """A last restart, with a flush at its end: what is left to count is counted."""
    store.fate = lambda: None
    worker = processor(store, flush_seconds=0)
    at = worker.resume()
    worker.process(records[at:], now=1.0)
    worker.tick(now=2.0)


@given(randoms, st.integers(1, 120), st.sampled_from([NEVER, 1.0, 0.0]))
def test_any_batches_and_restarts_leave_the_bytes_of_one_fold(
    traffic, records, faulty_store, folded_once, random, count, flush_seconds
):
    log, store = records(traffic(random, count)), faulty_store()
    follow(store, log, random, flush_seconds)
    assert store.everything() == folded_once(log)


@pytest.mark.parametrize("fates", [["before"], ["after"], ["before", "after"]], ids="-".join)
@given(randoms, st.integers(1, 120), st.sampled_from([NEVER, 1.0, 0.0]))
def test_deaths_around_any_commit_leave_the_bytes_of_one_fold(
    traffic, records, faulty_store, folded_once, fates, random, count, flush_seconds
):
    log, store = records(traffic(random, count)), faulty_store()
    store.error = StoreUnavailable
    store.fate = lambda: random.choice([*fates, None, None, None])
    follow(store, log, random, flush_seconds)
    assert store.everything() == folded_once(log)


@given(randoms, st.integers(1, 120))
def test_what_is_dropped_from_memory_is_read_again(traffic, records, faulty_store, folded_once, random, count):
    log, store = records(traffic(random, count)), faulty_store()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nearline.signal_state.HOT_BYTES", 1_000)
        follow(store, log, random, 0.5)
    assert store.everything() == folded_once(log)


def test_values_in_memory_are_bounded_by_their_size(monkeypatch, faulty_store):
    monkeypatch.setattr("nearline.signal_state.HOT_BYTES", 1_000)
    state = SignalState(faulty_store(), 0, Signal.USERS, LOG, WholeValues(lambda _, data: data, lambda data: data))
    state.open()
    for n in range(100):
        state.fetch({f"u{n % 30}"})
        state.put(f"u{n % 30}", bytes(100))
        state.applied = n
        state.commit()
        assert sum(map(len, state._values.values())) <= 1_000
        assert f"u{n % 30}" in state._values


def test_a_commit_that_is_too_much_for_memory_by_itself_is_not_kept(monkeypatch, faulty_store):
    monkeypatch.setattr("nearline.signal_state.HOT_BYTES", 1_000)
    state = SignalState(faulty_store(), 0, Signal.USERS, LOG, WholeValues(lambda _, data: data, lambda data: data))
    state.open()
    for n in range(20):
        state.put(f"u{n}", bytes(100))
    state.applied = 1
    state.commit()
    assert not state._values
    state.fetch(["u7"])
    assert state["u7"] == bytes(100)


@settings(max_examples=40)
@given(randoms, st.integers(250, 500))
def test_a_user_who_outruns_the_bound_is_counted_exactly(traffic, records, faulty_store, folded_once, random, count):
    events = [e for e in traffic(random, count, people=1) if not users.removes_history(e) or random.random() < 0.02]
    log, store = records(events), faulty_store()
    store.error = StoreUnavailable
    store.fate = lambda: random.choice(["before", "after", *[None] * 20])
    follow(store, log, random)
    assert store.everything() == folded_once(log)


def test_a_restart_far_behind_users_applies_nothing_to_them_again(records, faulty_store, folded_once):
    links = [event(n, "identify") for n in range(1, users.DEDUPLICATION + 10)]
    log, store = records([event(0), *links, event(len(links) + 1)]), faulty_store()
    worker = processor(store)
    worker.resume()
    worker.process(log[:-1], now=1.0)
    assert processor(store).resume() == 0
    flush(store, log)
    assert store.everything() == folded_once(log)


@given(randoms, st.integers(2, 80))
def test_of_two_workers_at_once_none_harms_the_other(traffic, records, faulty_store, folded_once, random, count):
    log, store = records(traffic(random, count, people=2)), faulty_store()
    workers, at, now = [processor(store, 1.0), processor(store, 1.0)], [0, 0], 0.0
    for worker in (0, 1):
        try:
            at[worker] = workers[worker].resume()
        except FenceMoved:
            at[worker] = workers[worker].resume()
    while min(at) < len(log):
        one = random.randrange(2)
        now += random.choice([0.0, 0.6])
        batch = log[at[one] : at[one] + random.choice([1, 3, 10])]
        try:
            workers[one].process(batch, now)
            at[one] += len(batch)
        except FenceMoved:
            at[one] = workers[one].resume()
    flush(store, log)
    assert store.everything() == folded_once(log)


@pytest.mark.parametrize(("last", "first"), [("click", Signal.USERS), ("forget", Signal.AGGREGATES)])
def test_a_death_between_the_two_signals_is_made_up_for(records, faulty_store, folded_once, last, first):
    log, store = records([*(event(n) for n in range(9)), event(9, last)]), faulty_store()
    answers = iter([None, "before"])
    store.fate = lambda: next(answers, None)
    store.error = StoreUnavailable
    worker = processor(store, flush_seconds=0)
    worker.resume()
    with pytest.raises(StoreUnavailable):
        worker.process(log, now=1.0)
    assert {each: store.fence(0, each).offset for each in (Signal.USERS, Signal.AGGREGATES)} == {
        each: 9 if each == first else -1 for each in (Signal.USERS, Signal.AGGREGATES)
    }
    flush(store, log)
    assert store.everything() == folded_once(log)


def test_aggregates_lag_behind_users_and_start_where_they_stopped(records, faulty_store, folded_once):
    log, store = records([event(n) for n in range(50)]), faulty_store()
    worker = processor(store)
    worker.resume()
    worker.process(log, now=1.0)
    assert (store.fence(0, Signal.USERS).offset, store.fence(0, Signal.AGGREGATES).offset) == (49, -1)
    restarted = processor(store)
    assert restarted.resume() == 0
    flush(store, log)
    assert store.everything() == folded_once(log)


@pytest.mark.parametrize("kind", ["forget", "unlike", "retract"])
def test_what_takes_history_away_first_lets_the_aggregates_count_it(records, faulty_store, folded_once, kind):
    events = [event(0, "like", item="a"), event(1), event(2, "like", item="b")]
    events += [event(3, kind, item="a", event_id="e0" if kind == "retract" else None), event(4)]
    log, store = records(events), faulty_store()
    worker = processor(store)
    worker.resume()
    for record in log:
        worker.process([record], now=1.0)
    assert store.commits.index((Signal.AGGREGATES, 3)) < store.commits.index((Signal.USERS, 3))
    flush(store, log)
    assert store.everything() == folded_once(log)


def test_a_user_who_outruns_the_bound_makes_the_aggregates_flush_early(records, faulty_store):
    store = faulty_store()
    worker = processor(store)
    worker.resume()
    reach = users.RECENT - HISTORY
    log = records([event(n) for n in range(reach + 1)])
    for record in log[:reach]:
        worker.process([record], now=1.0)
    assert store.fence(0, Signal.AGGREGATES).offset == -1
    worker.process(log[reach:], now=1.0)
    assert store.fence(0, Signal.AGGREGATES).offset == reach


def test_a_worker_that_meets_a_newer_user_gives_way_before_it_counts_wrongly(records, faulty_store):
    log, store = records([event(n) for n in range(6)]), faulty_store()
    zombie, heir = processor(store, flush_seconds=0), processor(store)
    zombie.resume()
    heir.resume()
    heir.process(log[:4], now=1.0)
    with pytest.raises(FenceMoved):
        zombie.process(log[:2], now=1.0)
    assert store.fence(0, Signal.AGGREGATES).offset == -1


def test_users_are_committed_with_every_batch_and_aggregates_when_due(records, faulty_store):
    log, store = records([event(n) for n in range(4)]), faulty_store()
    worker = processor(store, flush_seconds=1.0)
    worker.resume()
    for record, now in zip(log, [10.0, 10.4, 10.8, 11.0], strict=True):
        worker.process([record], now)
    assert [at for signal, at in store.commits if signal == Signal.USERS] == [0, 1, 2, 3]
    assert [at for signal, at in store.commits if signal == Signal.AGGREGATES] == [0, 3]


def test_a_tick_commits_what_has_become_due(records, faulty_store):
    log, store = records([event(n) for n in range(2)]), faulty_store()
    worker = processor(store, flush_seconds=1.0)
    worker.resume()
    worker.process(log[:1], 10.0)
    worker.process(log[1:], 10.1)
    worker.tick(10.9)
    assert store.fence(0, Signal.AGGREGATES).offset == 0
    worker.tick(11.1)
    assert store.fence(0, Signal.AGGREGATES).offset == 1


def test_a_partition_that_is_behind_commits_its_aggregates_less_often(records, faulty_store):
    log, store = records([event(n, user=f"user-{n}") for n in range(4 * BACKLOG_BATCH)]), faulty_store()
    worker = processor(store, flush_seconds=1.0)
    worker.resume()
    for batch, now in enumerate([2.0, 3.5, 2.0 + BACKLOG_DELAY_SECONDS, 3.0 + BACKLOG_DELAY_SECONDS]):
        worker.process(log[batch * BACKLOG_BATCH : (batch + 1) * BACKLOG_BATCH], now)
    committed = [at for signal, at in store.commits if signal == Signal.AGGREGATES]
    assert committed == [3 * BACKLOG_BATCH - 1]


def test_a_partition_that_was_behind_commits_its_aggregates_as_soon_as_nothing_else_is_to_be_done(
    records, faulty_store
):
    log, store = records([event(n, user=f"user-{n}") for n in range(BACKLOG_BATCH)]), faulty_store()
    worker = processor(store)
    worker.resume()
    worker.process(log, now=2.0)
    assert store.fence(0, Signal.AGGREGATES).offset == -1
    worker.tick(2.1)
    assert store.fence(0, Signal.AGGREGATES).offset == BACKLOG_BATCH - 1


def test_partitions_commit_their_aggregates_at_moments_of_their_own(records, faulty_store):
    moments, log = [], records([event(n) for n in range(21)])
    for partition in range(8):
        store = faulty_store()
        worker = EventProcessor(partition, LOG, store, refuse_nothing, flush_seconds=1.0)
        worker.resume()
        worker.process(log[:1], now=10.0)
        times = [10.0 + tenth / 10 for tenth in range(1, 21)]
        for offset, now in enumerate(times, start=1):
            worker.process(log[offset : offset + 1], now)
        committed = [times[at - 1] for signal, at in store.commits if signal == Signal.AGGREGATES and at]
        assert len(committed) == 2
        moments.append(committed[0])
    assert len(set(moments)) >= 6


def test_a_clock_that_is_set_back_does_not_hold_up_the_aggregates(records, faulty_store):
    log, store = records([event(n) for n in range(2)]), faulty_store()
    worker = processor(store, flush_seconds=1.0)
    worker.resume()
    worker.process(log[:1], now=10_000.0)
    worker.process(log[1:], now=6_400.0)
    assert store.fence(0, Signal.AGGREGATES).offset == 1


def test_only_changed_values_are_written(records, faulty_store):
    store = faulty_store()
    worker = processor(store, flush_seconds=0)
    worker.resume()
    worker.process(records([event(0, item="a"), event(1, user="bob", item="b")]), 1.0)
    written = {}
    store.commit = lambda p, signal, e, f, values: written.update({signal: set(values)})
    worker.process(records([event(2, user="bob", item="b")], start=2), 2.0)
    assert written == {Signal.USERS: {"u:bob"}, Signal.AGGREGATES: {"pop:b", "ctx:b", "tail:0"}}


def test_values_that_follow_another_log_are_removed(records, faulty_store, folded_once):
    store, log = faulty_store(), records([event(n) for n in range(3)])
    first = processor(store, flush_seconds=0, log_id="an older log")
    first.resume()
    first.process(records([event(n, user="eve") for n in range(50)]), 1.0)
    assert processor(store).resume() == 0
    assert store.fence(0, Signal.USERS) == store.fence(0, Signal.AGGREGATES) == Fence(LOG, -1)
    flush(store, log)
    assert store.everything() == folded_once(log)


class TestRefused:
    """What cannot be decoded goes aside, confirmed, before its offset is passed."""

    @pytest.fixture
    def refused(self):
        return []

    @pytest.fixture
    def worker(self, faulty_store, refused):
        store = faulty_store()
        worker = processor(store, refuse=lambda record, reason: refused.append(record.offset))
        worker.resume()
        return worker, store

    def test_it_is_refused_once_and_its_neighbours_count(self, worker, refused, records):
        process, store = worker
        process.process(records([event(0), b"{", event(1), b"\xff", b""]), 1.0)
        assert refused == [1, 3, 4]
        assert store.fence(0, Signal.USERS).offset == 4
        (data,) = store.load(0, Signal.USERS, ["u:ann"])
        assert [entry.offset for entry in user_codec.decode(data).recent] == [0, 2]

    def test_a_restart_behind_the_fence_of_users_does_not_refuse_again(self, worker, refused, records):
        process, store = worker
        log = records([event(0), b"{", event(1)])
        process.process(log, 1.0)
        again = processor(store, flush_seconds=0, refuse=lambda record, reason: refused.append(record.offset))
        assert again.resume() == 0
        again.process(log, 1.0)
        assert refused == [1]

    def test_nothing_is_passed_where_the_refusal_is_not_confirmed(self, faulty_store, records):
        def unconfirmed(record, reason):
            raise LogUnavailable("no answer")

        store = faulty_store()
        worker = processor(store, refuse=unconfirmed)
        worker.resume()
        with pytest.raises(LogUnavailable):
            worker.process(records([event(0), b"{", event(1)]), 1.0)
        assert store.fence(0, Signal.USERS).offset == -1
        assert store.everything()[Signal.USERS] == {}

    def test_an_event_far_ahead_of_the_logs_time_is_refused(self, worker, refused, records):
        process, _ = worker
        ahead = LoggedEvent(
            event_id="e",
            type="click",
            user_id="ann",
            item_id="i",
            occurred_at=datetime(2100, 1, 1, tzinfo=UTC),
            received_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        process.process(records([ahead]), 1.0)
        assert refused == [0]


@pytest.mark.parametrize(("kind", "bound"), [("search", users.TERMS), ("impression", users.IMPRESSION_OFFSETS)])
def test_many_searches_or_impressions_make_the_aggregates_flush_early(records, faulty_store, folded_once, kind, bound):
    log, store = records([event(n, kind if n else "click") for n in range(2 * bound)] + [event(99)]), faulty_store()
    worker = processor(store)
    worker.resume()
    for record in log:
        worker.process([record], now=1.0)
    assert store.fence(0, Signal.AGGREGATES).offset >= bound
    flush(store, log)
    assert store.everything() == folded_once(log)
