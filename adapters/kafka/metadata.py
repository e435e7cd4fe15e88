"""What Kafka says of a topic. Each call raises KafkaException, for the caller to translate."""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ClusterMetadata  # type: ignore[attr-defined]


def partitions(consumer: Consumer, name: str, seconds: float) -> int:
    """The number of partitions of the topic."""
    return len(_metadata(consumer, name, seconds).topics[name].partitions)


def log_id(consumer: Consumer, admin: AdminClient, name: str, seconds: float) -> str:
    """``<cluster id>/<topic id>`` of the topic."""
    # Not describe_cluster of the admin client: while no broker is registered, librdkafka 2.16 ends the process by an assertion.
    cluster_id = _metadata(consumer, name, seconds).cluster_id
    described = admin.describe_topics(TopicCollection([name]), request_timeout=seconds)[name].result()
    # Topic ids are base64; the log's id also names files.
    topic_id = str(described.topic_id).replace("/", "_").replace("+", "-")
    return f"{cluster_id}/{topic_id}"


def _metadata(consumer: Consumer, name: str, seconds: float) -> ClusterMetadata:
    """The cluster's metadata with this topic. Unlike other clients, a consumer never makes a topic that it asks for."""
    metadata: ClusterMetadata = consumer.list_topics(name, timeout=seconds)
    if (error := metadata.topics[name].error) is not None:
        raise KafkaException(error)
    if not metadata.brokers:
        raise KafkaException(KafkaError(KafkaError.BROKER_NOT_AVAILABLE))
    return metadata
