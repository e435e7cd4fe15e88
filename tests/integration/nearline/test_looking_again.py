"""One answer of the log is looked at again, over time and by another reader, before values are reset or records skipped."""

from __future__ import annotations

import pytest

from nearline.cluster.assignment import Assignment
from nearline.partition_worker import WorkerDependencies
from nearline.watch import Watch
from schemas.log import topics
from schemas.log.fence import Fence

PLACE = (topics.EVENTS, 0)


class LyingLog:
    """A reader of another log that tells for a while that the log begins or ends elsewhere, or that it holds nothing."""

    def __init__(self, log) -> None:
        self._log = log
        self.bounds_told, self.id_told, self.empty_reads = None, None, 0

    def log_id(self, topic):
        return self.id_told or self._log.log_id(topic)

    def bounds(self, topic, partition):
        return self.bounds_told or self._log.bounds(topic, partition)

    def read(self, *place):
        if self.empty_reads:
            self.empty_reads -= 1
            return []
        return self._log.read(*place)

    def close(self):
        """Nothing is open."""


@pytest.fixture
def lying(hands):
    return LyingLog(hands.log)


@pytest.fixture
def keep(hands, lying):
    """An assignment whose own reader lies, and that looks again through a reader of the true log."""

    def keep(another=hands.log):
        parts = (lying, hands.store, hands.refuse, hands.read_archive, hands.time)
        made = Assignment(WorkerDependencies(*parts, None if another is None else lambda: another))
        made.assign({PLACE})
        return made

    return keep


@pytest.fixture
def folded(hands, keep):
    """Ten events are folded."""
    for offset in range(10):
        hands.log.add(offset)
    hands.settle(keep())
    return hands


def settle_for(hands, assignment, seconds):
    for _ in range(int(seconds / 0.5)):
        hands.now += 0.5
        assignment.poll()


def test_a_watermark_below_the_fence_resets_nothing_where_another_reader_knows_better(folded, keep, lying):
    values = dict(folded.store.scan(0, "users"))
    lying.bounds_told = (0, 6)
    assignment = keep()
    settle_for(folded, assignment, 60)
    assert dict(folded.store.scan(0, "users")) == values
    lying.bounds_told = None
    folded.log.add(10)
    folded.settle(assignment)
    assert (folded.applied(), folded.clicks()) == (10, 11)


def test_a_watermark_below_the_fence_for_a_moment_resets_nothing(folded, keep, lying):
    lying.bounds_told = (0, 0)
    assignment = keep(another=lying)
    settle_for(folded, assignment, 8)
    lying.bounds_told = None
    folded.settle(assignment)
    assert (folded.applied(), folded.clicks()) == (9, 10)
    assert folded.store.resets == 2  # the first worker's, of the empty store


def test_a_watermark_that_stays_below_the_fence_is_believed(folded, keep, lying):
    del folded.log.records[PLACE][6:]
    folded.settle(keep())
    assert (folded.applied(), folded.clicks()) == (5, 6)


def test_the_id_of_another_log_for_a_moment_resets_nothing(folded, keep, lying):
    lying.id_told = "cluster/wrong"
    assignment = keep(another=lying)
    settle_for(folded, assignment, 8)
    lying.id_told = None
    folded.settle(keep())
    assert folded.store.fence(0, "users") == Fence("cluster/one", 9)
    assert folded.store.resets == 2


def test_an_empty_read_skips_nothing(folded, keep, lying):
    assignment = keep()
    for offset in range(10, 20):
        folded.log.add(offset)
    lying.empty_reads = 2
    [worker] = assignment.workers
    worker.target = 20
    settle_for(folded, assignment, 20)
    assert (folded.applied(), folded.clicks()) == (19, 20)


def test_a_log_that_seems_to_begin_later_skips_nothing(folded, keep, lying):
    for offset in range(10, 20):
        folded.log.add(offset)
    lying.bounds_told = (15, 20)
    assignment = keep()
    settle_for(folded, assignment, 30)
    assert folded.applied() == 9
    lying.bounds_told = None
    settle_for(folded, assignment, 10)
    assert (folded.applied(), folded.clicks()) == (19, 20)


def test_records_that_retention_removes_while_the_worker_is_behind_come_from_the_archive(folded, keep):
    assignment = keep()
    archived = [*folded.log.records[PLACE], *(folded.log.add(offset) for offset in range(10, 20))]
    folded.archive = lambda _topic, _partition, begin, end: iter(archived[begin:end])
    folded.log.records[PLACE] = archived[15:]
    folded.log.begin[PLACE] = 15
    assignment.workers[0].target = 20
    settle_for(folded, assignment, 10)
    assert (folded.applied(), folded.clicks()) == (19, 20)


def test_the_watch_resets_nothing_after_one_low_watermark(folded, keep, lying):
    assignment = keep()
    lying.bounds_told = (0, 3)
    Watch(lying, folded.store).check(assignment.workers)
    settle_for(folded, assignment, 5)
    lying.bounds_told = None
    folded.settle(assignment)
    assert (folded.applied(), folded.clicks(), folded.store.resets) == (9, 10, 2)


def test_an_empty_partition_of_another_log_is_reset_at_once(hands, keep):
    hands.settle(keep())
    assert hands.store.fence(0, "users") == Fence("cluster/one", -1)
    hands.log.id = "cluster/two"
    keep()
    assert hands.store.fence(0, "users") == Fence("cluster/two", -1)
