"""The doctor's checks of real servers."""

import pytest

from adapters.cassandra.models import create_keyspace
from adapters.kafka.log import create_topics
from deploy.commands.checks.servers import cassandra, kafka, redis
from deploy.commands.checks.setup import run_check
from deploy.config import CommandSettings
from schemas.configuration import site as names

pytestmark = pytest.mark.stack


def test_kafka_is_right_once_its_topics_are_made_with_that_many_partitions(kafka_servers, site):
    settings = CommandSettings(kafka=kafka_servers, prefix=site, partitions=2)
    before = kafka(settings)
    assert (before.state, "lacks the topics events" in before.found) == ("broken", True)
    create_topics(kafka_servers, names.topic_prefix(site), 2)
    assert kafka(settings).state == "ok"
    other = kafka(settings.model_copy(update={"partitions": 3}))
    assert (other.state, "events has 2" in other.found) == ("broken", True)


def test_redis_answers_and_does_not_evict(redis_url):
    check = run_check("Redis", lambda: redis(CommandSettings(redis=redis_url)))
    assert (check.state, check.found.endswith("noeviction")) == ("ok", True)


def test_cassandra_is_right_once_its_keyspace_is_made(cassandra_hosts, site):
    settings = CommandSettings(cassandra=cassandra_hosts, prefix=site)
    assert "lacks the keyspace" in cassandra(settings).found
    create_keyspace(cassandra_hosts, names.keyspace(site))
    assert cassandra(settings).state == "ok"
