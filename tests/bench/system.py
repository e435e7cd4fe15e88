"""Real servers and Freshet's processes for a benchmark, on ports of their own, gone at its end."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from deploy.config import Settings
from deploy.local import stack
from deploy.local.config import SERVERS, StackConfig
from deploy.processes import cluster
from deploy.processes.supervisor import Service, Supervisor
from deploy.wiring.dependencies import prepare
from tests.bench.results import console
from tests.e2e.systems import free_port


@contextmanager
def servers(names: tuple[str, ...] = SERVERS) -> Iterator[tuple[Settings, Path]]:
    """Real servers with an empty log, and a folder."""
    with tempfile.TemporaryDirectory(prefix="freshet-bench-") as name:
        folder = Path(name)
        config = replace(StackConfig.with_free_ports(folder / "stack"), kafka_optimised=True)
        with console.status("Starting servers ..."), stack.running(config, names) as addresses:
            settings = Settings(prefix="bench").at(addresses)
            if set(names) >= set(SERVERS):
                prepare(settings)
            yield settings, folder


@contextmanager
def processes(settings: Settings, folder: Path, workers: int = 2) -> Iterator[cluster.Cluster]:
    """Collector, workers and online API over these servers."""
    ports = cluster.Ports(free_port(), free_port(), free_port())
    running = cluster.start(settings, folder, ports, workers)
    try:
        yield running
    finally:
        running.supervisor.stop()


@contextmanager
def supervised(services: list[Service], logs: Path) -> Iterator[Supervisor]:
    """These services, running."""
    supervisor = Supervisor(services, logs)
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()


def rss_mib(pid: int) -> float:
    """The memory that a process holds, in MiB (Linux)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_seconds(pid: int) -> float:
    """What a process has used in user and kernel, all its threads (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
