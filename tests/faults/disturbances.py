"""What can happen to one part of a world, each as a context: it begins at once, and heals at its end."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

import redis

from tests.faults.world import ClusterWorld, World


class Disturbance(NamedTuple):
    """``part`` is what it breaks: two disturbances of one part never overlap."""

    name: str
    part: str
    begin: Callable[[], AbstractContextManager[None]]


@contextlib.contextmanager
def killed(world: World, process: str) -> Iterator[None]:
    """A process dies, and is started again."""
    world.processes[process].kill()
    try:
        yield
    finally:
        world.processes[process].start()


@contextlib.contextmanager
def frozen(world: World, process: str) -> Iterator[None]:
    """A process stands still, as in a long pause of its machine."""
    world.processes[process].freeze()
    try:
        yield
    finally:
        world.processes[process].thaw()


@contextlib.contextmanager
def server_killed(world: ClusterWorld, server: str) -> Iterator[None]:
    """A server dies, and is started again on the same data."""
    world.kill_server(server)
    try:
        yield
    finally:
        world.start_servers(server)


@contextlib.contextmanager
def server_frozen(world: ClusterWorld, server: str) -> Iterator[None]:
    """A server accepts connections, and answers nothing."""
    world.server_signal(server, signal.SIGSTOP)
    try:
        yield
    finally:
        world.server_signal(server, signal.SIGCONT)


@contextlib.contextmanager
def flushed(world: ClusterWorld) -> Iterator[None]:
    """Redis forgets everything, values and fences."""
    redis.Redis.from_url(world.settings.redis).flushall()
    yield


@contextlib.contextmanager
def connections_cut(port: int) -> Iterator[None]:
    """Every connection to a port breaks, also between a request and its answer."""
    subprocess.run(["ss", "-K", "dst", "127.0.0.1", "dport", "=", str(port)], capture_output=True, check=False)
    yield


def can_cut_connections() -> bool:
    """Whether this user may end connections of others."""
    return (
        shutil.which("ss") is not None
        and subprocess.run(["id", "-u"], capture_output=True, check=False).stdout == b"0\n"
    )


def all_of(world: World) -> list[Disturbance]:
    """Everything that can happen to this world."""
    found = [
        Disturbance(f"{how} {name}", name, lambda do=do, name=name: do(world, name))
        for name in world.processes
        for how, do in (("kill", killed), ("freeze", frozen))
    ]
    if not isinstance(world, ClusterWorld):
        return found
    found += [
        Disturbance(f"{how} {name}", name, lambda do=do, name=name: do(world, name))
        for name in ("kafka", "redis", "cassandra")
        for how, do in (("kill", server_killed), ("freeze", server_frozen))
    ]
    found.append(Disturbance("flush redis", "redis", lambda: flushed(world)))
    if can_cut_connections():
        config = world.servers
        ports = {"kafka": config.kafka_port, "redis": config.redis_port, "cassandra": config.cassandra_port}
        found += [
            Disturbance(f"cut {name}", name, lambda port=port: connections_cut(port)) for name, port in ports.items()
        ]
    return found
