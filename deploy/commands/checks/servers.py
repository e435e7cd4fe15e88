"""Checks that the servers of a cluster answer, and that they are set up as Freshet needs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from importlib import resources
from re import findall
from typing import TYPE_CHECKING, Final

from deploy.commands.checks.setup import Check, broken, java, note, ok, run_check
from deploy.config import CommandSettings
from schemas.configuration import site
from schemas.configuration.durability import keyspace_fault
from schemas.configuration.secrets import masked
from schemas.errors import ModelStoreUnavailable
from schemas.log import topics

if TYPE_CHECKING:
    from adapters.kafka.topics import SettingMismatch

_INIT: Final = "`freshet cluster init` makes what is missing"


def of_cluster(settings: CommandSettings) -> Iterator[Check]:
    """The checks of Kafka, Redis, Cassandra and Java, in this order."""
    yield from of_servers(settings)
    yield java()


def of_servers(settings: CommandSettings) -> Iterator[Check]:
    """The checks of Kafka, Redis and Cassandra, in this order."""
    yield run_check("Kafka", lambda: kafka(settings))
    yield run_check("Redis", lambda: redis(settings))
    yield run_check("Cassandra", lambda: cassandra(settings))


def _of_cluster(settings: CommandSettings) -> CommandSettings:
    return settings.model_copy(update={"stack": "cluster"})


def kafka(settings: CommandSettings) -> Check:
    """Checks that Kafka answers and has every topic with the right number of partitions."""
    from adapters.kafka.log import topics_of
    from adapters.kafka.topics import topic_differences, topic_partitions

    wanted = topics_of(_of_cluster(settings).log_address)
    present = check_topics(
        topic_partitions(wanted.servers, wanted.prefix, wanted.access), wanted.partitions, wanted.servers
    )
    return present if present.state == "broken" else check_differences(topic_differences(wanted), present)


def check_differences(differences: Sequence[SettingMismatch], present: Check) -> Check:
    """Checks that the topics keep what they should; ``present`` is the result if they do."""
    sentences = "; ".join(map(str, differences))
    if any(difference.loses for difference in differences):
        return broken("Kafka", sentences, "change the topic: what was accepted may be lost with one broker")
    if differences:
        return note("Kafka", sentences, "change the topic, or the setting, so that they agree")
    return present


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
    from adapters.redis.signals import signal_store

    with closing(signal_store(_of_cluster(settings).signals_address)) as store:
        result = check_policy(store.eviction_policy(), masked(settings.redis))
        return result if result.state != "ok" else check_file(store.configured("appendonly"), result)


def check_file(values: Sequence[str | None], present: Check) -> Check:
    """Checks that Redis keeps its append-only file; ``present`` is the result if it does."""
    if "no" in values:
        advice = "set appendonly to yes: without it, signals are rebuilt from a snapshot or the log after each restart"
        return note("Redis", "has no append-only file", advice)
    return present


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
    from adapters.cassandra.ring import Ring

    keyspace = site.keyspace(settings.prefix)
    try:
        with closing(Ring(settings.cassandra, "system", settings.cassandra_access())) as ring:
            rows = ring.run("SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", keyspace)
            replication = ring.run("SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?", keyspace)
            peers = ring.run("SELECT peer FROM system.peers")
    except ModelStoreUnavailable as error:
        if "docs/security.md" in str(error) or "set FRESHET_CASSANDRA_" in str(error):
            return broken("Cassandra", str(error), "")
        # The driver's message names every host and socket, but does not say what to do.
        advice = "start it (`make stack`), or set FRESHET_CASSANDRA to where it runs"
        return broken("Cassandra", f"does not answer at {settings.cassandra}", advice)
    tables = check_tables({name for (name,) in rows}, keyspace, settings.cassandra)
    if tables.state == "broken":
        return tables
    return check_keyspace(dict(replication[0][0]), len(peers) + 1, settings, tables)


def check_keyspace(replication: Mapping[str, str], nodes: int, settings: CommandSettings, present: Check) -> Check:
    """Checks that the keyspace has the copies that the settings want; ``present`` is the result if it has."""
    fault = keyspace_fault(settings.copies(), replication, nodes, settings.cassandra)
    if fault is None:
        return present
    advice = "`ALTER KEYSPACE … WITH replication`, then `nodetool repair`: models are lost with a node until then"
    return broken("Cassandra", fault, advice)


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
