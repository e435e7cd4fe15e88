"""Several servers of one kind on this machine, for what only several can show: failover, replicas, a majority."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.local import programs, stack
from deploy.local.config import StackConfig, free_ports
from deploy.local.errors import GroupFailed
from deploy.local.security import ADMIN, StackSecurity
from deploy.local.servers.kafka import new_cluster_id
from deploy.local.servers.redis import WATCHED

MASTERS = 3
_JOIN_SECONDS = 30.0
_START_SECONDS = 300.0
"""Several servers share one machine, so each starts more slowly than one alone."""
_AT_ONCE = "repl-diskless-sync-delay 0"
"""A replica copies its master at once; by default the master waits five seconds for further replicas."""
_CLUSTER_OPTIONS = (
    "cluster-enabled yes",
    "cluster-node-timeout 2000",
    "cluster-require-full-coverage no",
    _AT_ONCE,
)


@dataclass(frozen=True)
class Node:
    """One server of a group: its stack has this server alone."""

    server: str
    config: StackConfig

    @property
    def address(self) -> str:
        """Host and port of its clients."""
        return f"{self.config.host}:{stack.client_port(self.config, self.server)}"

    def redis_cli(self, *command: str) -> str:
        """What ``redis-cli`` prints for a command; empty if the node does not answer."""
        try:
            return _redis_cli(self.config, *command)
        except GroupFailed:
            return ""

    def kill(self) -> None:
        """Ends it as a crash would."""
        stack.kill(self.config, self.server)

    def start(self) -> None:
        """Starts it on its data, and returns when it answers."""
        stack.start(self.config, [self.server])


@dataclass(frozen=True)
class NodeGroup:
    """The running nodes, and what a Freshet process needs in its environment to use them."""

    nodes: tuple[Node, ...]
    environment: dict[str, str]

    def start(self) -> None:
        """Starts those that do not run."""
        for node in self.nodes:
            node.start()


@contextmanager
def redis_cluster(folder: Path, security: StackSecurity | None = None) -> Iterator[NodeGroup]:
    """A Redis Cluster of three masters, each with a replica."""
    scheme = "redis" if security is None else "rediss"
    options = _CLUSTER_OPTIONS if security is None else (*_CLUSTER_OPTIONS, *_login_of_replicas(security))
    configs = [
        replace(StackConfig.with_free_ports(folder / f"redis-{number}"), redis_options=options, security=security)
        for number in range(1, 2 * MASTERS + 1)
    ]
    with _running("redis", _with_bus_ports(configs)) as nodes:
        addresses = [node.address for node in nodes]
        _redis_cli(nodes[0].config, "--cluster", "create", *addresses, "--cluster-replicas", "1", "--cluster-yes")
        _wait_for("the Redis Cluster", lambda: all(_has_whole_view(node.config) for node in nodes))
        yield NodeGroup(
            tuple(nodes), {"FRESHET_STACK": "cluster", "FRESHET_REDIS": f"{scheme}+cluster://{','.join(addresses)}"}
        )


@contextmanager
def redis_sentinels(folder: Path) -> Iterator[NodeGroup]:
    """A Redis master with a replica, and three sentinels. The first two nodes are the two Redis."""
    master = replace(StackConfig.with_free_ports(folder / "redis-1"), redis_options=(_AT_ONCE,))
    replica = replace(
        StackConfig.with_free_ports(folder / "redis-2"),
        redis_options=(_AT_ONCE, f"replicaof {master.host} {master.redis_port}"),
    )
    sentinels = [
        replace(StackConfig.with_free_ports(folder / f"sentinel-{number}"), sentinel_watches=master.redis_port)
        for number in (1, 2, 3)
    ]
    with _running("redis", [master, replica]) as pair:
        _wait_for("the replica", lambda: "master_link_status:up" in _redis_cli(replica, "INFO", "replication"))
        with _running("sentinel", sentinels) as watchers:
            _wait_for("the sentinels", lambda: all(_knows_all(node.config) for node in watchers))
            hosts = ",".join(node.address for node in watchers)
            environment = {"FRESHET_STACK": "cluster", "FRESHET_REDIS": f"redis+sentinel://{hosts}/{WATCHED}"}
            yield NodeGroup((*pair, *watchers), environment)


@contextmanager
def kafka_brokers(folder: Path, heap_mib: int = 384) -> Iterator[NodeGroup]:
    """Three brokers that are their own controllers; topics have three copies, of which two must be in sync."""
    configs = [StackConfig.with_free_ports(folder / f"kafka-{number}") for number in (1, 2, 3)]
    voters = ",".join(f"{number}@{c.host}:{c.kafka_controller_port}" for number, c in enumerate(configs, 1))
    cluster_id = new_cluster_id()
    members = [
        replace(c, kafka_node=number, kafka_voters=voters, kafka_cluster_id=cluster_id, kafka_heap_mib=heap_mib)
        for number, c in enumerate(configs, 1)
    ]
    with _running("kafka", members) as nodes:
        servers = ",".join(node.address for node in nodes)
        yield NodeGroup(tuple(nodes), {"FRESHET_STACK": "cluster", "FRESHET_KAFKA": servers})


@contextmanager
def cassandra_ring(folder: Path, heap_mib: int = 512) -> Iterator[NodeGroup]:
    """Three Cassandra nodes, at 127.0.0.1 to 127.0.0.3."""
    first = replace(StackConfig.with_free_ports(folder / "cassandra-1"), cassandra_heap_mib=heap_mib)
    seed = f"{first.host}:{first.cassandra_storage_port}"
    configs = [
        replace(first, folder=folder / f"cassandra-{number}", host=f"127.0.0.{number}", cassandra_seeds=seed)
        for number in (1, 2, 3)
    ]
    # One after the other: a node that joins takes its part of the ring from those that are there.
    with _running("cassandra", configs, together=False) as nodes:
        hosts = ",".join(node.address for node in nodes)
        yield NodeGroup(tuple(nodes), {"FRESHET_STACK": "cluster", "FRESHET_CASSANDRA": hosts})


@contextmanager
def _running(server: str, configs: Sequence[StackConfig], *, together: bool = True) -> Iterator[list[Node]]:
    nodes = [Node(server, replace(config, start_timeout=_START_SECONDS)) for config in configs]
    try:
        with ThreadPoolExecutor(len(nodes) if together else 1) as starting:
            list(starting.map(Node.start, nodes))
        yield nodes
    finally:
        for node in nodes:
            stack.stop(node.config, [server])
            stack.wipe(node.config, server)


def _with_bus_ports(configs: Sequence[StackConfig]) -> list[StackConfig]:
    """The nodes of a Redis Cluster with a port for each other; by default it is the clients' port plus 10,000."""
    ports = free_ports(len(configs))
    return [
        replace(config, redis_options=(*config.redis_options, f"cluster-port {port}"))
        for config, port in zip(configs, ports, strict=True)
    ]


def _login_of_replicas(security: StackSecurity) -> tuple[str, ...]:
    return f"masteruser {ADMIN}", f"masterauth {security.password}"


def _has_whole_view(config: StackConfig) -> bool:
    info = _redis_cli(config, "CLUSTER", "INFO")
    lines = info.splitlines()
    complete = _redis_cli(config, "CLUSTER", "NODES").count("slave ") == MASTERS
    # A replica that has no copy yet cannot take its master's place.
    linked = "master_link_status:down" not in _redis_cli(config, "INFO", "replication")
    return "cluster_state:ok" in lines and "cluster_slots_ok:16384" in lines and complete and linked


def _knows_all(config: StackConfig) -> bool:
    told = _redis_cli(replace(config, redis_port=config.sentinel_port), "SENTINEL", "CKQUORUM", WATCHED)
    return told.startswith("OK 3 usable")


def _redis_cli(config: StackConfig, *command: str) -> str:
    """What a command prints; raises GroupFailed."""
    options = ["-h", config.host, "-p", str(config.redis_port)]
    environment = None
    if config.security is not None:
        options += ["--tls", "--cacert", str(config.security.ca), "--user", ADMIN]
        environment = {"REDISCLI_AUTH": config.security.password}
    program = programs.find("redis-cli", "redis-tools")
    ended = subprocess.run([program, *options, *command], capture_output=True, text=True, check=False, env=environment)
    if ended.returncode != 0:
        raise GroupFailed(f"redis-cli {' '.join(command[:2])} failed: {ended.stderr or ended.stdout}")
    return ended.stdout


def _wait_for(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _JOIN_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise GroupFailed(f"{what} did not form within {_JOIN_SECONDS:g} s; see the logs of its nodes")
        time.sleep(0.1)
