"""A slot of a Redis Cluster moves to another node while its signals are read and committed."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest

from schemas.keys import Signal, commits_key, fence_key, values_key
from schemas.log.fence import Fence

pytestmark = pytest.mark.stack

PARTITION = 3
SIGNAL = Signal.AGGREGATES


def owner_and_other(nodes, slot):
    """The node that holds a slot, and another master, each with its id."""
    ids = {node: node.redis_cli("CLUSTER", "MYID").strip() for node in nodes}
    masters = [node for node in nodes if "role:master" in node.redis_cli("INFO", "replication")]
    held = {node: node.redis_cli("CLUSTER", "COUNTKEYSINSLOT", str(slot)).strip() for node in masters}
    owner = next(node for node in masters if held[node] != "0")
    other = next(node for node in masters if node is not owner)
    return (owner, ids[owner]), (other, ids[other])


def test_reads_and_commits_follow_a_slot_that_moves_at_every_step(redis_cluster, site):
    redis_signals = pytest.importorskip("adapters.redis.signals")
    from redis.crc import key_slot

    url, prefix = redis_cluster.environment["FRESHET_REDIS"], f"{site}:"
    keys = [name(prefix, PARTITION, SIGNAL) for name in (fence_key, values_key, commits_key)]
    slot = key_slot(keys[0].encode())

    with closing(redis_signals.RedisSignalStore(url, prefix)) as store, asyncio.Runner() as runner:
        reader = runner.run(opened(redis_signals, url, prefix))
        offset = 0

        def works(step: str) -> None:
            nonlocal offset
            store.commit(PARTITION, SIGNAL, Fence("log", offset), Fence("log", offset + 1), {"a": step.encode()})
            offset += 1
            read = runner.run(reader.read(PARTITION, SIGNAL, ["a"]))
            assert read.values == [step.encode()], step
            assert runner.run(reader.changes(PARTITION, SIGNAL, None)).fence == Fence("log", offset), step

        store.commit(PARTITION, SIGNAL, None, Fence("log", 0), {"a": b"0"})
        works("before")
        (owner, owner_id), (other, other_id) = owner_and_other(redis_cluster.nodes, slot)
        other.redis_cli("CLUSTER", "SETSLOT", str(slot), "IMPORTING", owner_id)
        owner.redis_cli("CLUSTER", "SETSLOT", str(slot), "MIGRATING", other_id)
        works("announced")
        host, _, port = other.address.rpartition(":")
        assert "OK" in owner.redis_cli("MIGRATE", host, port, "", "0", "5000", "KEYS", *keys)
        works("keys moved, but not the slot")
        for node in (other, owner):
            node.redis_cli("CLUSTER", "SETSLOT", str(slot), "NODE", other_id)
        works("moved")
        assert other.redis_cli("CLUSTER", "COUNTKEYSINSLOT", str(slot)).strip() == "3"
        runner.run(reader.close())


async def opened(redis_signals, url, prefix):
    return redis_signals.RedisSignalReader(url, prefix)
