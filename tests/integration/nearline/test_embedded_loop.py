"""The embedded loop has what the Faust worker has: archive, another log, records that the log has lost."""

from __future__ import annotations

from schemas.log import topics
from schemas.log.fence import Fence


def test_records_that_the_embedded_log_holds_no_more_come_from_the_archive(hands):
    archived = [hands.log.add(offset) for offset in range(30)]
    hands.log.begin[topics.EVENTS, 0] = 12
    hands.archive = lambda _topic, _partition, begin, end: iter(archived[begin:end])
    loop = hands.loop()
    hands.settle(loop)
    assert loop.caught_up()
    assert (hands.applied(), hands.clicks()) == (29, 30)


def test_a_log_that_is_replaced_under_the_loop_is_folded_anew(hands):
    for offset in range(10):
        hands.log.add(offset)
    loop = hands.loop()
    hands.settle(loop)
    hands.store.away = True
    hands.log.add(10)
    hands.settle(loop)
    hands.store.away = False
    hands.log.id, hands.log.records = "cluster/two", {}
    for offset in range(4):
        hands.log.add(offset)
    hands.settle(loop)
    assert loop.caught_up()
    assert hands.store.fence(0, "users") == Fence("cluster/two", 3)
    assert hands.clicks() == 4


def test_a_loop_whose_log_has_lost_its_newest_records_folds_it_anew(hands):
    for offset in range(10):
        hands.log.add(offset)
    hands.settle(hands.loop())
    del hands.log.records[topics.EVENTS, 0][6:]
    hands.settle(hands.loop())
    assert (hands.applied(), hands.clicks()) == (5, 6)
