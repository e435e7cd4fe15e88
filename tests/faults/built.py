"""Builds the world that a fault needs: with proxies before its servers, or on a disk of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy.local import groups as several_servers
from deploy.local.config import StackConfig
from tests.faults.disk import mounted
from tests.faults.proxy import Proxy, proxied
from tests.faults.run import Fault
from tests.faults.world import ClusterWorld, EmbeddedWorld, World, own_stack

ON_DISK = ("kafka", "redis")
"""Servers whose disk may be full."""

GROUPS = {
    "kafka": several_servers.kafka_brokers,
    "redis": several_servers.redis_cluster,
    "sentinel": several_servers.redis_sentinels,
    "cassandra": several_servers.cassandra_ring,
}


@contextlib.contextmanager
def embedded_world(fault: Fault, folder: Path) -> Iterator[World]:
    """``freshet up`` in this folder; raises CannotMount."""
    with contextlib.ExitStack() as opened:
        disk = opened.enter_context(mounted(folder, fault.disk_mib)) if fault.disk_mib else None
        world = EmbeddedWorld(folder, disk.path / "data" if disk else None)
        opened.callback(world.close)
        world.disk = disk
        yield world


@contextlib.contextmanager
def cluster_world(
    fault: Fault, folder: Path, servers: StackConfig, addresses: Mapping[str, str] | None = None
) -> Iterator[World]:
    """The processes of a cluster on these servers; or with a log and signals on a small disk. Raises CannotMount."""
    with contextlib.ExitStack() as opened:
        disk = opened.enter_context(mounted(folder, fault.disk_mib)) if fault.disk_mib else None
        if disk:
            addresses = servers.environment() | dict(addresses or {})
            servers = opened.enter_context(
                own_stack(folder, ON_DISK, {server: disk.path / server for server in ON_DISK})
            )
            addresses |= servers.environment(ON_DISK)
        ports = {"redis": servers.redis_port, "cassandra": servers.cassandra_port}
        proxies = {name: opened.enter_context(proxied(ports[name])) for name in fault.proxied}
        groups = {name: opened.enter_context(GROUPS[name](folder / name)) for name in fault.groups}
        several = {name: text for group in groups.values() for name, text in group.environment.items()}
        world = ClusterWorld(
            servers, folder, addresses={**(addresses or {}), **several}, through={"": _addresses(proxies)}
        )
        opened.callback(world.close)
        world.proxies, world.groups, world.disk = proxies, groups, disk
        yield world


def _addresses(proxies: Mapping[str, Proxy]) -> dict[str, str]:
    addresses = {name: f"127.0.0.1:{proxy.port}" for name, proxy in proxies.items()}
    if "redis" in addresses:
        addresses["redis"] = f"redis://{addresses['redis']}/0"
    return {f"FRESHET_{name.upper()}": address for name, address in addresses.items()}
