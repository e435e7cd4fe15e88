"""Commands to a Redis Cluster. Each goes to the node that holds the slot of its key.

The driver finds the nodes, and follows redirections and failovers. A pipelined connection to each node sends what has a known
node, because the driver's own path costs several times as much for a command.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Sequence
from functools import lru_cache, partial
from typing import Any, Final

import redis
from redis import asyncio as aioredis
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot
from redis.retry import Retry

from adapters.redis.pipeline import PipelinedConnection

_ATTEMPTS: Final = 3
"""How often the driver looks for the nodes anew before a command fails. A caller waits and tries again."""
_ONCE: Final = aioredis.retry.Retry(NoBackoff(), 0)
_ELSEWHERE: Final = (
    redis.ConnectionError,
    redis.exceptions.MovedError,
    redis.exceptions.AskError,
    redis.exceptions.TryAgainError,
    redis.exceptions.ClusterDownError,
    redis.ReadOnlyError,
)
"""Errors after which the driver finds the right node: the slot has moved or moves now, or its node is gone."""


class ClusterConnection:
    """Sends one command at a time to a cluster, and blocks until its reply. Any thread may use it."""

    def __init__(self, nodes: Sequence[tuple[str, int]], options: dict[str, Any]) -> None:
        self._nodes, self._options = nodes, options
        self._opened: Any = None
        self._opening = threading.Lock()

    def execute(self, *command: str | int | bytes) -> Any:
        """The reply; raises redis.RedisError."""
        reply: Any = self._cluster().execute_command(*command)
        return reply

    def on_primaries(self, *command: str) -> list[Any]:
        """The reply of every primary; raises redis.RedisError."""
        cluster = self._cluster()
        return [cluster.execute_command(*command, target_nodes=node) for node in cluster.get_primaries()]

    def close(self) -> None:
        """Closes the connections."""
        if self._opened is not None:
            self._opened.close()

    def _cluster(self) -> Any:
        """The driver's client. It asks a node for the cluster when it is made."""
        with self._opening:
            if self._opened is None:
                nodes = [ClusterNode(host, port) for host, port in self._nodes]
                self._opened = RedisCluster(startup_nodes=nodes, **_options(self._options, Retry))
            return self._opened


class PipelinedClusterConnection:
    """Sends commands in batches, one connection to each node. For one event loop, and for commands that may be sent twice."""

    def __init__(self, nodes: Sequence[tuple[str, int]], options: dict[str, Any]) -> None:
        seeds = [AsyncClusterNode(host, port) for host, port in nodes]
        self._cluster: Any = AsyncRedisCluster(startup_nodes=seeds, **_options(options, aioredis.retry.Retry))
        self._connections: dict[str, PipelinedConnection] = {}

    def execute(self, *command: str | int | bytes) -> Awaitable[Any]:
        """The reply; raises redis.RedisError."""
        connection = self._connection(str(command[3 if command[0] == "EVAL" else 1]))
        if connection is None:
            unrouted: Awaitable[Any] = asyncio.ensure_future(self._cluster.execute_command(*command))
            return unrouted
        return asyncio.ensure_future(self._follow(connection.execute(*command), command))

    async def close(self) -> None:
        """Closes the connections. Commands without a reply are cancelled."""
        for connection in self._connections.values():
            await connection.close()
        await self._cluster.aclose()

    async def _follow(self, reply: asyncio.Future[Any], command: tuple[str | int | bytes, ...]) -> Any:
        """The reply, or that of the node to which the driver finds its way."""
        try:
            return await reply
        except _ELSEWHERE:
            return await self._cluster.execute_command(*command)

    def _connection(self, key: str) -> PipelinedConnection | None:
        """The connection to the primary of a key's slot; None if the driver does not know it."""
        nodes = self._cluster.nodes_manager.slots_cache.get(_slot(key))
        if not nodes:
            return None
        node = nodes[0]
        connection = self._connections.get(node.name)
        if connection is None:
            make = partial(node.connection_class, **node.connection_kwargs | {"retry": _ONCE})
            connection = self._connections[node.name] = PipelinedConnection(make)
        return connection


@lru_cache(maxsize=65_536)
def _slot(key: str) -> int:
    return int(key_slot(key.encode()))


def _options(options: dict[str, Any], retry: type) -> dict[str, Any]:
    """The driver's options. Slots whose node is gone must not keep readers from the others."""
    return {
        "require_full_coverage": False,
        "retry": retry(ExponentialBackoff(cap=0.25, base=0.02), _ATTEMPTS),
        **options,
    }
