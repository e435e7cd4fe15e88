"""One of several servers of a kind is killed: brokers, nodes of a Redis Cluster, a master behind sentinels, Cassandra nodes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

from deploy.local.groups import Node, NodeGroup
from schemas.errors import FreshetError, ServerMissing
from tests.faults.run import Fault, Run, call

GONE_SECONDS = 8.0
"""Longer than brokers, masters and nodes need to notice that one is gone."""
WHOLE_SECONDS = 180.0


def brokers_die(run: Run) -> None:
    """One broker after the other dies and comes back, each when all copies are in sync again."""
    _each_in_turn(run, run.world.groups["kafka"].nodes, lambda: _all_in_sync(run))


def redis_nodes_die(run: Run) -> None:
    """Nodes of a Redis Cluster die and come back, masters and replicas. A dead master's replica takes its place."""
    group = run.world.groups["redis"]
    _each_in_turn(run, group.nodes, lambda: _store_takes_writes(run) and _replicas_are_linked(group))


def redis_masters_die(run: Run) -> None:
    """Whichever of two Redis is the master dies; the sentinels make the other the master."""
    group = run.world.groups["sentinel"]
    for _ in run.repeat():
        run.pause(2.0, 5.0)
        master = next(node for node in group.nodes[:2] if "role:master" in node.redis_cli("INFO", "replication"))
        _gone_for_a_while(run, master)
        run.world.wait_until(lambda: _one_master(group), WHOLE_SECONDS, "the sentinels have one master and its replica")
        run.recover()


def cassandra_nodes_die(run: Run) -> None:
    """One node of three dies and comes back, then the next. A version is written and read while one is dead."""
    nodes = run.world.groups["cassandra"].nodes
    for number in run.repeat():
        run.pause(2.0, 5.0)
        _gone_for_a_while(run, nodes[number % len(nodes)], lambda number=number: _publish(run, f"v{number}"))
        run.recover()


def _each_in_turn(run: Run, nodes: tuple[Node, ...], is_whole: Callable[[], bool]) -> None:
    for number in run.repeat():
        run.pause(2.0, 5.0)
        _gone_for_a_while(run, nodes[number % len(nodes)])
        run.world.wait_until(is_whole, WHOLE_SECONDS, "the servers have all copies again")
        run.recover()


def _gone_for_a_while(run: Run, node: Node, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Kills a node, looks whether readers get answers without it, and starts it again."""
    node.kill()
    began = time.monotonic()
    while time.monotonic() < began + GONE_SECONDS:
        status, _ = call(f"{run.world.api}/v1/users/probe/recommendations")
        run.expect(status == 200, f"a read got {status} while a server was dead")
        time.sleep(0.2)
    meanwhile()
    node.start()


def _all_in_sync(run: Run) -> bool:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    client = AdminClient({"bootstrap.servers": run.world.settings.kafka, "log_level": 0})
    prefix = f"{run.world.settings.prefix}."
    try:
        metadata = client.list_topics(timeout=5).topics
    except KafkaException:
        return False
    ours = [topic for name, topic in metadata.items() if name.startswith(prefix) or name == "__consumer_offsets"]
    return all(len(p.isrs) == len(p.replicas) == 3 for topic in ours for p in topic.partitions.values())


def _store_takes_writes(run: Run) -> bool:
    with run.world.opened() as dependencies:
        try:
            for partition in range(run.world.settings.partitions):
                dependencies.signals.fence(partition, "users")
        except FreshetError:
            return False
    return True


def _replicas_are_linked(group: NodeGroup) -> bool:
    """True if there are as many masters as at the beginning, each with a replica that has its data."""
    told = [node.redis_cli("INFO", "replication") for node in group.nodes]
    masters = [text for text in told if "role:master" in text]
    linked = [text for text in told if "master_link_status:up" in text]
    return len(masters) == len(linked) == len(group.nodes) // 2


def _one_master(group: NodeGroup) -> bool:
    told = [node.redis_cli("INFO", "replication") for node in group.nodes[:2]]
    return sum("role:master" in text for text in told) == 1 == sum("master_link_status:up" in text for text in told)


def _publish(run: Run, version: str) -> None:
    """Writes a version and reads it back, though one node is dead."""
    from adapters.registry import adapter
    from tests.faults.rows.training import small_manifest

    address = run.world.settings.models_address
    with closing(adapter(address).model_store(address)) as store:
        try:
            store.write(small_manifest(version, "some"), {"some": b"value"}, {})
            run.expect(store.value(version, "some") == b"value", f"{version} was not read back as it was written")
        except (FreshetError, ServerMissing) as error:
            run.expect(False, f"with one node dead, {version} could not be written and read: {error}")


FAULTS = [
    Fault(
        17,
        "brokers-die",
        "three brokers with three copies, two in sync: one after the other is killed and comes back",
        "no loss, no error to a reader; writes are refused for the seconds of an election at most",
        brokers_die,
        repetitions=6,
        stacks=("cluster",),
        groups=("kafka",),
    ),
    Fault(
        17,
        "redis-cluster-nodes-die",
        "a Redis Cluster of three masters with a replica each: one node after the other is killed and comes back",
        "no loss, no error to a reader; answers are degraded for the seconds of a failover",
        redis_nodes_die,
        repetitions=6,
        stacks=("cluster",),
        groups=("redis",),
    ),
    Fault(
        17,
        "redis-masters-die",
        "a Redis master behind three sentinels is killed; its replica takes over, and then it the other way round",
        "no loss, no error to a reader; answers are degraded for the seconds of a failover",
        redis_masters_die,
        repetitions=4,
        stacks=("cluster",),
        groups=("sentinel",),
    ),
    Fault(
        17,
        "cassandra-nodes-die",
        "three Cassandra nodes with three copies: one after the other is killed and comes back; a version is written meanwhile",
        "no error to a reader, and a version can be written and read",
        cassandra_nodes_die,
        repetitions=3,
        stacks=("cluster",),
        groups=("cassandra",),
    ),
]
