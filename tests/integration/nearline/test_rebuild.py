"""Signals are folded again beside the stored ones, compared byte for byte, and replaced where they differ."""

from __future__ import annotations

import pytest

from nearline.recovery.rebuild import rebuild
from nearline.recovery.verify import verify
from nearline.recovery.whole_log import WholeLog
from schemas.log import topics
from schemas.log.fence import Fence
from schemas.ports import ArchivedRange


@pytest.fixture
def folded(hands):
    """Forty clicks, applied by a running loop."""
    for offset in range(40):
        hands.log.add(offset)
    hands.running = hands.loop()
    hands.settle(hands.running)
    return hands


def rebuilt(hands, reader=None):
    return [one for one in rebuild(reader or hands.log, hands.store) if one.checks[0].topic == topics.EVENTS]


def tamper(hands, signal="users", key="u:user3", value=b"tampered"):
    fence = hands.store.fence(0, signal)
    hands.store.commit(0, signal, fence, fence, {key: value})


def test_sound_signals_are_left_as_they_are(folded):
    before = folded.store.copy()
    [one] = rebuilt(folded)
    assert (one.replaced, all(check.equal for check in one.checks)) == (False, True)
    assert folded.store.copy() == before


@pytest.mark.parametrize(("signal", "key"), [("users", "u:user3"), ("aggregates", "pop:item2")])
def test_a_partition_with_a_differing_value_is_replaced_and_its_idle_worker_catches_up_by_itself(folded, signal, key):
    before = folded.store.copy()
    tamper(folded, signal, key)
    [one] = rebuilt(folded)
    assert one.replaced
    assert [check.differing for check in one.checks if check.differences] == [(key,)]
    folded.settle(folded.running)
    assert folded.store.copy() == before


def test_a_worker_that_commits_meanwhile_loses_and_doubles_nothing(folded):
    tamper(folded)
    for offset in range(40, 60):
        folded.log.add(offset)
        folded.now += 2.0
        folded.running.poll()
        if offset in {45, 52}:
            tamper(folded, "aggregates", "pop:item2")
            assert rebuilt(folded)[0].replaced
    folded.settle(folded.running)
    assert folded.clicks() == 60
    assert verify(folded.log, folded.store, [topics.EVENTS]).equal


def test_signals_of_another_log_and_an_incomplete_log_are_named_and_left(folded):
    tamper(folded)
    before = folded.store.copy()
    folded.log.begin[topics.EVENTS, 0] = 5
    [one] = rebuilt(folded)
    assert (one.replaced, "begins at offset 5" in one.checks[0].problem) == (False, True)
    folded.log.begin.clear()
    folded.log.id = "cluster/two"
    [one] = rebuilt(folded)
    assert (one.replaced, "another log" in one.checks[0].problem) == (False, True)
    assert folded.store.copy() == before


class ListArchive:
    """An archive that holds the first records of partition 0 of the events."""

    def __init__(self, records, end) -> None:
        self.records, self.end = list(records), end

    def ranges(self, topic):
        half = self.end // 2
        ranges = [ArchivedRange("cluster/one", 0, 0, half), ArchivedRange("cluster/one", 0, half, self.end)]
        return ranges if topic == topics.EVENTS else []

    def read(self, topic, log_id, partition, begin, end):
        return iter([record for record in self.records if begin <= record.offset < end])


def test_what_the_log_has_dropped_is_read_from_the_archive(folded):
    tamper(folded)
    whole = WholeLog(folded.log, ListArchive(folded.log.records[topics.EVENTS, 0], end=20))
    folded.log.begin[topics.EVENTS, 0] = 15
    assert whole.bounds(topics.EVENTS, 0) == (0, 40)
    assert [record.offset for record in whole.read(topics.EVENTS, 0, 3, 4)] == [3, 4, 5, 6]
    [one] = rebuilt(folded, whole)
    assert one.replaced
    folded.settle(folded.running)
    assert folded.clicks() == 40


def test_an_archive_with_a_gap_before_the_log_does_not_count_as_whole(folded):
    whole = WholeLog(folded.log, ListArchive(folded.log.records[topics.EVENTS, 0], end=10))
    folded.log.begin[topics.EVENTS, 0] = 15
    assert whole.bounds(topics.EVENTS, 0) == (15, 40)


def test_a_partition_without_values_is_left_to_its_worker(hands):
    hands.log.add(0)
    [one] = rebuilt(hands)
    assert (one.replaced, one.checks[0].fence) == (False, None)
    hands.store.reset(0, "users", None, Fence("cluster/one", -1))
    assert not rebuilt(hands)[0].replaced
