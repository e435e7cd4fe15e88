"""Starts real servers and Freshet's processes for a benchmark, on free ports, and stops them at its end."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from deploy.config import CommandSettings
from deploy.local import stack
from deploy.local.config import SERVERS, StackConfig
from deploy.processes import cluster
from deploy.processes.supervisor import Service, Supervisor
from deploy.wiring.dependencies import prepare
from tests.bench.results import console
from tests.e2e.systems import free_port


@contextmanager
def servers(names: tuple[str, ...] = SERVERS) -> Iterator[tuple[CommandSettings, Path]]:
    """Yields the settings of real servers with an empty log, and a folder."""
    with tempfile.TemporaryDirectory(prefix="freshet-bench-") as name:
        folder = Path(name)
        config = replace(StackConfig.with_free_ports(folder / "stack"), kafka_optimised=True)
        with console.status("Starting servers ..."), stack.running(config, names) as addresses:
            settings = CommandSettings(prefix="bench").with_servers(addresses)
            if set(names) >= set(SERVERS):
                prepare(settings)
            yield settings, folder


@contextmanager
def processes(settings: CommandSettings, folder: Path, workers: int = 2) -> Iterator[cluster.Cluster]:
    """Runs collector, workers and online API on these servers."""
    ports = cluster.Ports(free_port(), free_port(), free_port())
    running = cluster.start(settings, folder, ports, workers)
    try:
        yield running
    finally:
        running.supervisor.stop()


@contextmanager
def supervised(services: list[Service], logs: Path) -> Iterator[Supervisor]:
    """Runs these services."""
    supervisor = Supervisor(services, logs)
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()


def rss_mib(pid: int) -> float:
    """Returns the resident memory of a process in MiB (Linux)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_seconds(pid: int) -> float:
    """Returns the CPU seconds of all threads of a process, in user and kernel mode (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
