"""The watch finds a store that lost its values, and leaves a sound worker alone."""

from __future__ import annotations

import pytest

from nearline.watch import Watch
from schemas.errors import LogReplaced
from schemas.log import topics


def test_a_store_that_forgot_everything_is_noticed_by_the_watch_and_rebuilt(hands, keeping):
    assignment = keeping()
    for offset in range(10):
        assignment.offer(hands.log.add(offset))
    hands.settle(assignment)
    hands.store.flush()
    Watch(hands.log, hands.store).check(assignment.workers)
    hands.settle(assignment)
    assert (hands.applied(), hands.clicks()) == (9, 10)


def test_the_watch_leaves_a_sound_worker_alone(hands, keeping):
    assignment = keeping()
    for offset in range(10):
        assignment.offer(hands.log.add(offset))
    hands.settle(assignment)
    Watch(hands.log, hands.store).check(assignment.workers)
    [worker] = assignment.workers
    assert not worker._invalidated


def test_a_topic_made_again_is_noticed_by_a_process_that_keeps_no_partition(hands):
    watch = Watch(hands.log, hands.store)
    watch.check([])
    hands.log.id = "made-again"
    with pytest.raises(LogReplaced, match="made-again"):
        watch.check([])


def test_a_topic_made_again_before_the_first_look_is_noticed_although_no_partition_is_kept_any_more(hands, keeping):
    assignment, watch = keeping(), Watch(hands.log, hands.store)
    assignment.release({(topics.EVENTS, 0)})
    hands.log.id = "made-again"
    with pytest.raises(LogReplaced, match="made-again"):
        watch.check(assignment.workers, assignment.log_ids)
