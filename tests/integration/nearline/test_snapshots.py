"""Snapshots of a partition are taken when they are due, and loaded where a worker finds no fence."""

from __future__ import annotations

import time

import pytest
from prometheus_client import REGISTRY

from adapters.parquet.snapshots import ParquetSnapshots
from nearline import metrics
from nearline.cluster.assignment import Assignment
from nearline.partition_worker import WorkerDependencies
from nearline.recovery.verify import verify
from nearline.snapshots.recording import RecordingStore
from nearline.snapshots.recovery import SnapshotRecovery
from nearline.snapshots.taking import SnapshotPolicy, SnapshotTaker
from schemas.errors import SnapshotsUnavailable
from schemas.log import topics
from schemas.log.fence import Fence

PLACE = (topics.EVENTS, 0)


class Site:
    """A worker of partition 0 of the events, with snapshots, over the log and store of ``hands``."""

    def __init__(self, hands, folder) -> None:
        self.hands = hands
        self.snapshots = ParquetSnapshots(str(folder), "site")
        self.policy = SnapshotPolicy(interval=900.0, keep=2, max_age=86_400.0)
        self.recording = RecordingStore(hands.store)
        self.start()

    def start(self) -> None:
        """Starts a worker, as a process does that replaces an earlier one."""
        hands = self.hands
        self.recovery = SnapshotRecovery(self.snapshots, lambda: hands.store, hands.read_archive)
        dependencies = WorkerDependencies(
            hands.log, self.recording, hands.refuse, hands.read_archive, hands.time, recovery=self.recovery
        )
        self.assignment = Assignment(dependencies)
        self.assignment.assign({PLACE})
        self.taker = SnapshotTaker(
            lambda: self.assignment.workers, self.recording, hands.store, self.snapshots, self.policy, hands.time
        )

    def add(self, first: int, end: int) -> None:
        for offset in range(first, end):
            self.hands.log.add(offset)

    def settle(self) -> None:
        """Polls until the log is applied; a load has a thread of its own, so it takes real time."""
        until = time.monotonic() + 20.0
        while time.monotonic() < until:
            self.hands.now += 2.0
            for worker in self.assignment.workers:
                worker.target = self.hands.log.bounds(*PLACE)[1]
            self.assignment.poll()
            if all(worker.caught_up() for worker in self.assignment.workers):
                return
            time.sleep(0.01)
        pytest.fail("the worker has not caught up")

    def take(self) -> None:
        self.hands.now += self.policy.interval
        self.taker.look()

    def lose(self) -> None:
        """Empties the store and starts anew."""
        self.hands.store.flush()
        self.start()
        self.settle()

    def taken(self) -> list:
        return self.snapshots.snapshots(*PLACE)

    def applied_since(self, count: float) -> float:
        return _applied() - count

    def is_a_plain_fold(self) -> bool:
        return verify(self.hands.log, self.hands.store, [topics.EVENTS]).equal


def _applied() -> float:
    return metrics.EVENTS.labels(topics.EVENTS, "applied")._value.get()


def _count(outcome: str) -> float:
    return metrics.SNAPSHOTS.labels(topics.EVENTS, outcome)._value.get()


@pytest.fixture
def shop(hands, tmp_path):
    made = Site(hands, tmp_path / "snapshots")
    made.add(0, 1_000)
    made.settle()
    made.take()
    return made


def test_a_lost_store_comes_back_from_the_snapshot_and_folds_only_what_came_after_it(shop):
    shop.add(1_000, 1_200)
    applied, loaded = _applied(), _count("loaded")
    shop.lose()
    assert (_applied() - applied, _count("loaded") - loaded) == (200, 1)
    assert shop.is_a_plain_fold()
    assert shop.hands.applied() == 1_199


def test_a_store_that_is_emptied_under_a_running_worker_comes_back_from_the_snapshot(shop):
    applied = _applied()
    shop.hands.store.flush()
    shop.add(1_000, 1_010)
    shop.settle()
    assert _applied() - applied < 100
    assert shop.is_a_plain_fold()


def test_snapshots_are_taken_after_the_interval_and_only_of_what_has_changed(shop):
    [first] = shop.taken()
    assert {signal: file.offset for signal, file in first.files.items()} == {"users": 999, "aggregates": 999}
    shop.take()
    assert shop.taken() == [first]
    shop.add(1_000, 1_001)
    shop.settle()
    shop.hands.now += 1.0
    shop.taker.look()
    assert len(shop.taken()) == 2
    shop.add(1_001, 1_002)
    shop.settle()
    shop.taker.look()
    assert len(shop.taken()) == 2


def test_the_oldest_is_removed_and_an_unchanged_partition_is_copied_again_before_its_copy_expires(shop):
    for offset in (1_000, 1_001, 1_002):
        shop.add(offset, offset + 1)
        shop.settle()
        shop.take()
    assert [snapshot.next_offset for snapshot in shop.taken()] == [1_003, 1_002]
    shop.hands.now += shop.policy.max_age / 2
    shop.taker.look()
    assert [snapshot.next_offset for snapshot in shop.taken()] == [1_003, 1_003]
    shop.hands.now += shop.policy.max_age * 0.6
    shop.taker.look()
    ages = [shop.hands.now - snapshot.created_at for snapshot in shop.taken()]
    assert ages == [0.0, pytest.approx(shop.policy.max_age * 0.6)]


def test_a_new_worker_knows_when_the_last_snapshot_was_taken(shop):
    shop.add(1_000, 1_001)
    shop.start()
    shop.settle()
    shop.taker.look()
    assert len(shop.taken()) == 1


def test_a_damaged_snapshot_is_passed_over_and_counted_and_the_one_before_it_is_loaded(shop, tmp_path):
    shop.add(1_000, 1_500)
    shop.settle()
    shop.take()
    newest, _ = shop.taken()
    [path] = tmp_path.rglob(f"{newest.snapshot_id}/aggregates.parquet")
    path.write_bytes(path.read_bytes()[:-5])
    refused, applied = _count("refused"), _applied()
    shop.lose()
    assert (_count("refused") - refused, _applied() - applied) == (1, 500)
    assert shop.is_a_plain_fold()


def test_a_snapshot_of_another_log_is_not_loaded(shop):
    shop.hands.log.id, shop.hands.log.records = "cluster/two", {}
    shop.add(0, 300)
    applied = _applied()
    shop.lose()
    assert _applied() - applied == 300
    assert shop.hands.store.fence(0, "users") == Fence("cluster/two", 299)


def test_a_snapshot_that_is_ahead_of_the_log_is_not_loaded(shop):
    shop.hands.log.records[PLACE] = shop.hands.log.records[PLACE][:500]
    applied = _applied()
    shop.lose()
    assert _applied() - applied == 500
    assert shop.hands.applied() == 499


def test_a_snapshot_after_which_records_are_missing_is_not_loaded_unless_the_archive_has_them(shop):
    """Else a `forget` among the missing records would not be applied again."""
    shop.add(1_000, 2_000)
    records = list(shop.hands.log.records[PLACE])
    shop.hands.log.begin[PLACE] = 1_500
    shop.lose()
    assert shop.hands.clicks() == 500
    shop.hands.archive = lambda _t, _p, begin, end: iter(records[begin:end])
    shop.lose()
    assert shop.hands.clicks() == 2_000


def test_a_place_that_does_not_answer_delays_nothing_while_the_log_is_whole(shop, monkeypatch):
    def silent(*_):
        raise SnapshotsUnavailable("the place of snapshots is away")

    monkeypatch.setattr(shop.snapshots, "snapshots", silent)
    unreadable = _count("unreadable")
    shop.lose()
    assert _count("unreadable") - unreadable == 1
    assert shop.is_a_plain_fold()


def test_a_place_that_does_not_answer_is_waited_for_where_the_log_has_lost_records(shop, monkeypatch):
    shop.add(1_000, 1_100)
    shop.hands.log.begin[PLACE] = 900
    newest, away = shop.snapshots.snapshots, [True]

    def snapshots(*place):
        if away[0]:
            raise SnapshotsUnavailable("the place of snapshots is away")
        return newest(*place)

    monkeypatch.setattr(shop.snapshots, "snapshots", snapshots)
    shop.hands.store.flush()
    shop.start()
    for _ in range(20):
        shop.hands.now += 2.0
        shop.assignment.poll()
        time.sleep(0.01)
    assert shop.hands.store.fence(0, "users") is None
    away[0] = False
    shop.settle()
    assert shop.hands.clicks() == 1_100


def test_a_snapshot_that_cannot_be_written_is_counted_and_tried_again(shop, monkeypatch):
    shop.add(1_000, 1_001)
    shop.settle()

    def full(*_):
        raise SnapshotsUnavailable("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(shop.snapshots, "publish", full)
        failed = _count("failed")
        shop.take()
        assert _count("failed") - failed == 1
    assert len(shop.taken()) == 1
    shop.hands.now += 61.0
    shop.taker.look()
    assert [snapshot.next_offset for snapshot in shop.taken()] == [1_001, 1_000]


def test_two_signals_that_lag_behind_each_other_are_restored_exactly(shop):
    """`aggregates` is committed later than `users`; the copy of both must still lead to the same values."""
    [worker] = shop.assignment.workers
    for end in (1_001, 1_050):
        shop.add(worker.position, end)
        shop.hands.now += 0.2
        worker.target = end
        worker.poll()
    users, aggregates = (shop.hands.store.fence(0, signal).offset for signal in ("users", "aggregates"))
    assert users > aggregates
    shop.taker._policy = shop.policy._replace(interval=0.0)
    shop.taker.look()
    assert shop.taken()[0].files["aggregates"].offset == aggregates
    shop.add(1_050, 1_600)
    shop.lose()
    assert shop.is_a_plain_fold()


def test_the_age_of_a_changed_partition_is_told_by_the_worker_that_keeps_it(shop):
    shop.add(1_000, 1_001)
    shop.settle()
    shop.hands.now = shop.taken()[0].created_at + 100.0
    shop.taker.look()
    assert _age() == 100.0
    shop.assignment.assign(set())
    shop.taker.look()
    assert _age() is None


def _age() -> float | None:
    labels = {"topic": topics.EVENTS, "partition": "0"}
    return REGISTRY.get_sample_value("freshet_snapshot_age_seconds", labels)
