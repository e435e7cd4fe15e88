"""One module for each server that a local stack can run."""

from deploy.local.errors import UnknownServer
from deploy.local.servers.base import Server
from deploy.local.servers.cassandra import Cassandra
from deploy.local.servers.kafka import Kafka
from deploy.local.servers.prometheus import Prometheus
from deploy.local.servers.redis import Redis, Sentinel

KNOWN: dict[str, Server] = {
    "kafka": Kafka(),
    "redis": Redis(),
    "cassandra": Cassandra(),
    "prometheus": Prometheus(),
    "sentinel": Sentinel(),
}


def server_named(name: str) -> Server:
    """The server of this name; raises UnknownServer with the names there are."""
    if name not in KNOWN:
        raise UnknownServer(name, sorted(KNOWN))
    return KNOWN[name]
