"""Real servers and Freshet's processes for a benchmark, on ports of their own, gone at its end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy import cluster
from deploy.config import Settings
from deploy.local import stack
from deploy.local.config import SERVERS, StackConfig
from deploy.parts import create_cluster
from tests.bench.results import console
from tests.e2e.systems import free_port


@contextmanager
def servers(names: tuple[str, ...] = SERVERS) -> Iterator[tuple[Settings, Path]]:
    """Real servers with an empty log, and a folder."""
    with tempfile.TemporaryDirectory(prefix="freshet-bench-") as name:
        folder = Path(name)
        config = StackConfig.with_free_ports(folder / "stack")
        with console.status("Starting servers ..."), stack.running(config, names) as addresses:
            settings = Settings(prefix="bench").at(addresses)
            if set(names) >= set(SERVERS):
                create_cluster(settings)
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
