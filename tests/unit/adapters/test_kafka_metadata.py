"""What Kafka says of a topic is read without the calls that can end the process."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("confluent_kafka")

from confluent_kafka import KafkaError, KafkaException

from adapters.kafka import metadata as kafka_metadata

TOPIC = SimpleNamespace(error=None, partitions={0: None, 1: None})


def _consumer(brokers, topic=TOPIC):
    metadata = SimpleNamespace(cluster_id="c", brokers=brokers, topics={"t": topic})
    return SimpleNamespace(list_topics=lambda name, timeout: metadata)


class _Untouchable:
    """An admin client that must not be asked."""


class _Admin:
    def describe_topics(self, _topics, *, request_timeout):
        return {"t": SimpleNamespace(result=lambda: SimpleNamespace(topic_id="a/b+c"))}


def test_the_id_of_a_log_names_cluster_and_topic_and_can_name_files():
    assert kafka_metadata.log_id(_consumer({1: "broker"}), _Admin(), "t", 1.0) == "c/a_b-c"
    assert kafka_metadata.partitions(_consumer({1: "broker"}), "t", 1.0) == 2


def test_without_a_registered_broker_the_admin_client_is_not_asked():
    with pytest.raises(KafkaException, match="not available"):
        kafka_metadata.log_id(_consumer({}), _Untouchable(), "t", 1.0)


def test_a_missing_topic_is_an_error_of_kafka():
    missing = SimpleNamespace(error=KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART), partitions={})
    with pytest.raises(KafkaException):
        kafka_metadata.partitions(_consumer({1: "broker"}, missing), "t", 1.0)
