"""Checks of the servers of a cluster: whether they answer, and are set up as Freshet needs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from importlib import resources
from re import findall
from typing import Final
from urllib.parse import urlsplit

from deploy.commands.checks.setup import Check, broken, java, looked, note, ok
from deploy.config import Settings
from schemas import site
from schemas.errors import ModelStoreUnavailable
from schemas.log import topics

_INIT: Final = "`freshet cluster init` makes what is missing"


def of_cluster(settings: Settings) -> Iterator[Check]:
    """Kafka, Redis, Cassandra and Java, in this order."""
    yield looked("Kafka", lambda: kafka(settings))
    yield looked("Redis", lambda: redis(settings))
    yield looked("Cassandra", lambda: cassandra(settings))
    yield java()


def kafka(settings: Settings) -> Check:
    """Whether Kafka answers and has every topic with the right number of partitions."""
    from adapters.kafka_log import topic_partitions

    found = topic_partitions(settings.kafka, site.topic_prefix(settings.prefix))
    return topics_right(found, settings.partitions, settings.kafka)


def topics_right(found: dict[str, int], partitions: int, address: str) -> Check:
    """Whether these topics with their numbers of partitions are what is needed."""
    missing = [topic for topic in topics.ALL if topic not in found]
    if missing:
        return broken("Kafka", f"{address} lacks the topics {', '.join(missing)}", _INIT)
    wrong = {topic: found[topic] for topic in topics.ALL if found[topic] != partitions}
    if wrong:
        named = ", ".join(f"{topic} has {count}" for topic, count in wrong.items())
        return broken(
            "Kafka", f"{named} partitions, not {partitions}", "set FRESHET_PARTITIONS to what the topics have"
        )
    return ok("Kafka", f"{address}, {len(topics.ALL)} topics of {partitions} partitions")


def redis(settings: Settings) -> Check:
    """Whether Redis answers and never evicts: a value must not vanish beside a live fence."""
    from adapters.redis_signals import RedisSignalStore

    # The address without what may be a password.
    address = urlsplit(settings.redis).netloc.rpartition("@")[2]
    with closing(RedisSignalStore(settings.redis, site.key_prefix(settings.prefix))) as store:
        return policy_right(store.eviction_policy(), address)


def policy_right(policy: str | None, address: str) -> Check:
    """Whether this ``maxmemory-policy`` keeps every value; None where Redis does not tell."""
    if policy is None:
        return note(
            "Redis", f"{address} answers but does not tell its maxmemory-policy", "see to it that it is noeviction"
        )
    if policy != "noeviction":
        advice = "set maxmemory-policy to noeviction: signals that vanish beside their fence are lost until a rebuild"
        return broken("Redis", f"{address} may throw values away ({policy})", advice)
    return ok("Redis", f"{address}, noeviction")


def cassandra(settings: Settings) -> Check:
    """Whether Cassandra answers and has the keyspace with its tables."""
    from adapters.cassandra_ring import Ring

    keyspace = site.keyspace(settings.prefix)
    try:
        with closing(Ring(settings.cassandra, "system")) as ring:
            rows = ring.run("SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", keyspace)
    except ModelStoreUnavailable:
        # The driver's own words name every host and socket, and not what to do.
        advice = "start it (`make stack`), or set FRESHET_CASSANDRA to where it runs"
        return broken("Cassandra", f"does not answer at {settings.cassandra}", advice)
    return tables_right({name for (name,) in rows}, keyspace, settings.cassandra)


def tables_right(found: set[str], keyspace: str, address: str) -> Check:
    """Whether these tables are all that is needed."""
    needed = findall(
        r"CREATE TABLE IF NOT EXISTS (\w+)", resources.files("schemas").joinpath("cql/models.cql").read_text()
    )
    missing = [name for name in needed if name not in found]
    if missing:
        what = f"the tables {', '.join(missing)}" if found else f"the keyspace '{keyspace}'"
        return broken("Cassandra", f"{address} lacks {what}", _INIT)
    return ok("Cassandra", f"{address}, keyspace '{keyspace}' with its tables")
