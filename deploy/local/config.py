"""The configuration of a local stack: its folder and the ports of its servers."""

import os
import socket
import ssl
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from deploy.local.security import StackSecurity

SERVERS = ("kafka", "redis", "cassandra")
"""The servers that a stack runs by default; `prometheus` can be named as well."""


def repository_root() -> Path:
    """The checkout this code runs from, or the current folder when it is installed elsewhere."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").exists() else Path.cwd()


def default_folder() -> Path:
    """`.stack` under the repository's root."""
    return repository_root() / ".stack"


def default_jars() -> Path:
    """The jars' folder, shared by all stacks: $FRESHET_STACK_JARS or `.stack/jars`."""
    chosen = os.environ.get("FRESHET_STACK_JARS")
    return Path(chosen) if chosen else default_folder() / "jars"


@dataclass(frozen=True)
class StackConfig:
    """One stack: a folder, and ports that no other running stack uses."""

    folder: Path = field(default_factory=default_folder)
    jars: Path = field(default_factory=default_jars)
    host: str = "127.0.0.1"
    kafka_port: int = 19092
    kafka_controller_port: int = 19093
    redis_port: int = 16379
    cassandra_port: int = 19042
    cassandra_storage_port: int = 19070
    prometheus_port: int = 19090
    prometheus_config: Path | None = None
    kafka_heap_mib: int = 512
    kafka_optimised: bool = False
    """True if Java fully optimises Kafka's code, as for a server that runs for long. In the first minute this costs more
    than it saves."""
    cassandra_heap_mib: int = 1024
    security: StackSecurity | None = None
    """None: no encryption and no users. Otherwise Kafka listens with SASL_SSL and, on ``kafka_tls_port``, with SSL."""
    kafka_tls_port: int = 19094
    kafka_node: int = 1
    kafka_voters: str = ""
    """Nodes of a cluster, as `1@host:port,2@host:port`, with the ports of their controllers. Empty: this node alone."""
    kafka_cluster_id: str = ""
    """Id with which a new data folder is formatted; nodes of one cluster share it. Empty: a new one."""
    redis_options: tuple[str, ...] = ()
    """Further lines of Redis's configuration, such as `cluster-enabled yes`."""
    sentinel_port: int = 26_379
    sentinel_watches: int = 0
    """Port of the Redis master that a sentinel watches, under the name `freshet`."""
    cassandra_seeds: str = ""
    """Nodes that a new Cassandra node joins, as `host:port,host:port`. Empty: it is a ring of its own."""
    start_timeout: float = 120.0
    stop_timeout: float = 30.0

    def __post_init__(self) -> None:
        # The servers get these paths in their own files, where the current folder means nothing.
        object.__setattr__(self, "folder", self.folder.resolve())
        object.__setattr__(self, "jars", self.jars.resolve())

    @classmethod
    def with_free_ports(cls, folder: Path) -> Self:
        """A stack in `folder` on ports that are free right now, for tests that run beside others."""
        kafka, controller, redis, cassandra, storage, prometheus, tls, sentinel = free_ports(8)
        return cls(
            folder=folder,
            kafka_port=kafka,
            kafka_controller_port=controller,
            redis_port=redis,
            cassandra_port=cassandra,
            cassandra_storage_port=storage,
            prometheus_port=prometheus,
            kafka_tls_port=tls,
            sentinel_port=sentinel,
        )

    def home(self, server: str) -> Path:
        """The folder of one server: its data, its configuration, its log and its process record."""
        return self.folder / server

    def data(self, server: str) -> Path:
        """What `wipe` removes."""
        return self.home(server) / "data"

    def log(self, server: str) -> Path:
        """The server's output since its last start; the run before is beside it with `.1`."""
        return self.home(server) / f"{server}.log"

    def probe_context(self) -> ssl.SSLContext | None:
        """How a probe connects to these servers; None without encryption."""
        return None if self.security is None else self.security.client_context()

    def environment(self, servers: Iterable[str] = SERVERS) -> dict[str, str]:
        """What a Freshet process needs in its environment to use these servers."""
        redis = "redis" if self.security is None else "rediss"
        addresses = {
            "kafka": ("FRESHET_KAFKA", f"{self.host}:{self.kafka_port}"),
            "redis": ("FRESHET_REDIS", f"{redis}://{self.host}:{self.redis_port}/0"),
            "cassandra": ("FRESHET_CASSANDRA", f"{self.host}:{self.cassandra_port}"),
        }
        chosen = set(servers)
        return {"FRESHET_STACK": "cluster"} | dict(address for server, address in addresses.items() if server in chosen)


def free_ports(count: int) -> list[int]:
    """So many ports that are free on the loopback right now."""
    with ExitStack() as sockets_open:
        # All are held at once, or the system could hand out the same one twice.
        sockets = [sockets_open.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
