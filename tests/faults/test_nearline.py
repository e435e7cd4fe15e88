"""Workers are killed and servers are lost under traffic; afterwards every value is that of a plain fold."""

from __future__ import annotations

import random
import signal
import time

import pytest

from deploy.local import stack as servers
from schemas.configuration.site import topic_prefix
from schemas.log import topics
from schemas.log.topics import topic_name

pytestmark = [pytest.mark.stack, pytest.mark.slow]


@pytest.mark.timeout(300)
def test_ten_killed_workers_and_others_joining_and_leaving_neither_lose_nor_double_an_event(
    cluster, traffic, in_background
):
    chance = random.Random(3)
    cluster.start_worker()
    cluster.start_worker()
    sending = in_background(lambda: traffic.send(24_000, per_second=500))
    for number in range(10):
        time.sleep(chance.uniform(3.0, 5.0))
        cluster.end_worker(chance.choice(cluster.workers), signal.SIGKILL)
        cluster.start_worker()
        if number in {2, 6}:
            cluster.start_worker()
        if number in {4, 8}:
            cluster.end_worker(cluster.workers[0], signal.SIGTERM)
    report, wrong = cluster.verified()
    assert report.equal, f"while traffic flows: {wrong}"
    sending.join()
    assert traffic.confirmed() > 24_000
    cluster.wait_until_applied(seconds=120)
    report, wrong = cluster.verified()
    assert report.equal, wrong
    assert report.values > 700


@pytest.mark.timeout(120)
def test_what_cannot_be_decoded_is_on_the_dead_letter_topic_with_where_it_stood(cluster, traffic):
    from schemas.log.dead_letters import decode_dead_letter
    from schemas.log.records import LogEntry

    junk = LogEntry(b"user1", b"\xff\xfe junk")
    [at] = traffic.writer.append(topics.EVENTS, [junk]).result(timeout=20)
    cluster.start_worker()
    cluster.wait_until_applied(seconds=40)
    reader = cluster.reader()
    letters = [
        decode_dead_letter(record.value)
        for partition in range(topics.DEFAULT_PARTITIONS)
        for record in reader.read(topics.DEADLETTERS, partition, 0, 10)
    ]
    assert [(letter.topic, letter.partition, letter.offset) for letter in letters] == [(topics.EVENTS, *at)]
    assert letters[0].original() == junk.value


@pytest.mark.timeout(180)
def test_poison_of_another_producer_is_isolated_and_the_worker_lives(cluster, traffic):
    from confluent_kafka import Producer

    from schemas.log.dead_letters import decode_dead_letter

    poison = [_click(f'"position":{"9" * 400}'), _click('"properties":{"scroll":%s}' % ("9" * 400)), b"x" * 1_900_000]
    worker = cluster.start_worker()
    other = Producer({"bootstrap.servers": cluster.kafka, "message.max.bytes": 2_097_152})
    traffic.send(300, per_second=1_000)
    for value in [*poison, None]:
        other.produce(topic_name(topics.EVENTS, topic_prefix(cluster.site)), value, b"user1", 3)
    other.flush(20)
    traffic.send(300, per_second=1_000)
    traffic.confirmed()
    cluster.wait_until_applied(seconds=60)
    reader = cluster.reader()
    letters = [
        decode_dead_letter(record.value)
        for partition in range(topics.DEFAULT_PARTITIONS)
        for record in reader.read(topics.DEADLETTERS, partition, 0, 50)
    ]
    by_size = sorted((letter for letter in letters if letter.partition == 3), key=lambda letter: letter.offset)
    assert [letter.cut_from or letter.original() for letter in by_size if b"junk" not in letter.original()] == [
        *poison[:2],
        1_900_000,
    ]
    report, wrong = cluster.verified()
    assert report.equal, wrong
    assert worker.poll() is None


def _click(field: str) -> bytes:
    times = '"occurred_at":"2026-01-01T00:00:00Z","received_at":"2026-01-01T00:00:00Z"'
    return f'{{"event_id":"e","type":"click","user_id":"user1","item_id":"i","recommendation_id":"r",{times},{field}}}'.encode()


@pytest.mark.timeout(180)
def test_kafka_wiped_and_made_anew_beside_an_old_redis_is_noticed_and_nothing_of_the_new_log_is_skipped(
    cluster, traffic
):
    cluster.start_worker()
    traffic.send(2_000, per_second=2_000)
    traffic.confirmed()
    cluster.wait_until_applied(seconds=60)
    old = cluster.store().fence(0, "users")

    servers.stop(cluster.config, ["kafka"])
    servers.wipe(cluster.config, "kafka")
    servers.start(cluster.config, ["kafka"])
    cluster.create_topics()
    # More than before, so that each partition grows past the old fence before anybody looks.
    fresh = type(traffic)(cluster.writer(), seed=8)
    fresh.send(3_000, per_second=3_000)
    fresh.confirmed()

    cluster.wait_until_applied(seconds=120)
    report, wrong = cluster.verified()
    assert report.equal, wrong
    assert cluster.store().fence(0, "users").log_id != old.log_id
    assert cluster.workers[0].poll() is None


@pytest.mark.timeout(280)
@pytest.mark.parametrize("away_seconds", [0.0, 3.0], ids=["at-once", "after-a-rebalance"])
def test_topics_removed_and_made_again_are_noticed_by_a_worker_that_has_just_started(cluster, traffic, away_seconds):
    from confluent_kafka.admin import AdminClient

    cluster.start_worker()
    traffic.send(300, per_second=1_000)
    traffic.confirmed()
    cluster.wait_until_applied(seconds=60)

    admin = AdminClient({"bootstrap.servers": cluster.kafka, "log_level": 0})
    names = {topic_name(topic, topic_prefix(cluster.site)) for topic in topics.ALL}
    for removed in admin.delete_topics(sorted(names), operation_timeout=30).values():
        removed.result(30)
    while names & set(admin.list_topics(timeout=10).topics):
        time.sleep(0.1)
    time.sleep(away_seconds)  # the group rebalances, and assigns nothing
    cluster.create_topics()
    fresh = type(traffic)(cluster.writer(), seed=8)
    fresh.send(300, per_second=1_000)
    fresh.confirmed()

    cluster.wait_until_applied(seconds=120)
    report, wrong = cluster.verified()
    assert report.equal, wrong


@pytest.mark.timeout(120)
def test_a_flushed_redis_is_rebuilt_from_the_log_without_a_new_event(cluster, traffic):
    import redis

    cluster.start_worker()
    traffic.send(2_000, per_second=2_000)
    traffic.confirmed()
    cluster.wait_until_applied(seconds=60)
    redis.Redis.from_url(cluster.redis).flushall()
    cluster.wait_until_applied(seconds=40)
    report, wrong = cluster.verified()
    assert report.equal, wrong
    assert report.values > 300


@pytest.mark.timeout(150)
def test_a_redis_that_is_away_for_some_seconds_under_traffic_costs_nothing_but_time(cluster, traffic, in_background):
    worker = cluster.start_worker()
    sending = in_background(lambda: traffic.send(6_000, per_second=400))
    time.sleep(4)
    servers.kill(cluster.config, "redis")
    time.sleep(4)
    servers.start(cluster.config, ["redis"])
    sending.join()
    traffic.confirmed()
    cluster.wait_until_applied(seconds=60)
    report, wrong = cluster.verified()
    assert report.equal, wrong
    assert worker.poll() is None


@pytest.mark.timeout(150)
def test_a_kafka_that_is_away_for_some_seconds_costs_nothing_but_time(cluster, traffic):
    worker = cluster.start_worker()
    traffic.send(1_000, per_second=1_000)
    traffic.confirmed()
    cluster.wait_until_applied(seconds=60)
    servers.restart(cluster.config, "kafka")
    traffic.wait_until_taken(seconds=60)
    traffic.send(1_000, per_second=1_000)
    traffic.confirmed()
    cluster.wait_until_applied(seconds=60)
    report, wrong = cluster.verified()
    assert report.equal, wrong
    assert worker.poll() is None
