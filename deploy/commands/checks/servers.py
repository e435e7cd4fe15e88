"""Checks that the servers of a cluster answer, and that they are set up as Freshet needs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from importlib import resources
from re import findall
from typing import Final
from urllib.parse import urlsplit

from deploy.commands.checks.setup import Check, broken, java, note, ok, run_check
from deploy.config import CommandSettings
from schemas import site
from schemas.errors import ModelStoreUnavailable
from schemas.log import topics

_INIT: Final = "`freshet cluster init` makes what is missing"


def of_cluster(settings: CommandSettings) -> Iterator[Check]:
    """The checks of Kafka, Redis, Cassandra and Java, in this order."""
    yield run_check("Kafka", lambda: kafka(settings))
    yield run_check("Redis", lambda: redis(settings))
    yield run_check("Cassandra", lambda: cassandra(settings))
    yield java()


def kafka(settings: CommandSettings) -> Check:
    """Checks that Kafka answers and has every topic with the right number of partitions."""
    from adapters.kafka_log import topic_partitions

    partitions_by_topic = topic_partitions(settings.kafka, site.topic_prefix(settings.prefix))
    return check_topics(partitions_by_topic, settings.partitions, settings.kafka)


def check_topics(partitions_by_topic: dict[str, int], partitions: int, address: str) -> Check:
    """Checks that these topics are all topics, and have the right number of partitions."""
    missing_topics = [topic for topic in topics.ALL if topic not in partitions_by_topic]
    if missing_topics:
        return broken("Kafka", f"{address} lacks the topics {', '.join(missing_topics)}", _INIT)
    wrong = {topic: partitions_by_topic[topic] for topic in topics.ALL if partitions_by_topic[topic] != partitions}
    if wrong:
        differences = ", ".join(f"{topic} has {count}" for topic, count in wrong.items())
        return broken(
            "Kafka", f"{differences} partitions, not {partitions}", "set FRESHET_PARTITIONS to what the topics have"
        )
    return ok("Kafka", f"{address}, {len(topics.ALL)} topics of {partitions} partitions")


def redis(settings: CommandSettings) -> Check:
    """Checks that Redis answers and never evicts: an evicted value beside a live fence would be lost unnoticed."""
    from adapters.redis_signals import RedisSignalStore

    # The address without its user and password.
    address = urlsplit(settings.redis).netloc.rpartition("@")[2]
    with closing(RedisSignalStore(settings.redis, site.key_prefix(settings.prefix))) as store:
        return check_policy(store.eviction_policy(), address)


def check_policy(policy: str | None, address: str) -> Check:
    """Checks that this ``maxmemory-policy`` keeps every value. It is None if Redis does not show it."""
    if policy is None:
        return note(
            "Redis", f"{address} answers but does not tell its maxmemory-policy", "see to it that it is noeviction"
        )
    if policy != "noeviction":
        advice = "set maxmemory-policy to noeviction: signals that vanish beside their fence are lost until a rebuild"
        return broken("Redis", f"{address} may throw values away ({policy})", advice)
    return ok("Redis", f"{address}, noeviction")


def cassandra(settings: CommandSettings) -> Check:
    """Checks that Cassandra answers and has the keyspace with its tables."""
    from adapters.cassandra_ring import Ring

    keyspace = site.keyspace(settings.prefix)
    try:
        with closing(Ring(settings.cassandra, "system")) as ring:
            rows = ring.run("SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", keyspace)
    except ModelStoreUnavailable:
        # The driver's message names every host and socket, but does not say what to do.
        advice = "start it (`make stack`), or set FRESHET_CASSANDRA to where it runs"
        return broken("Cassandra", f"does not answer at {settings.cassandra}", advice)
    return check_tables({name for (name,) in rows}, keyspace, settings.cassandra)


def check_tables(tables: set[str], keyspace: str, address: str) -> Check:
    """Checks that these tables are complete."""
    needed = findall(
        r"CREATE TABLE IF NOT EXISTS (\w+)", resources.files("schemas").joinpath("cql/models.cql").read_text()
    )
    missing_tables = [name for name in needed if name not in tables]
    if missing_tables:
        lacking = f"the tables {', '.join(missing_tables)}" if tables else f"the keyspace '{keyspace}'"
        return broken("Cassandra", f"{address} lacks {lacking}", _INIT)
    return ok("Cassandra", f"{address}, keyspace '{keyspace}' with its tables")
