"""The cluster's processes on one machine: collector, nearline workers and online API, over real servers."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.config import CommandSettings
from deploy.processes.supervisor import Service, Supervisor
from schemas.errors import PortInUse, ServerMissing

_SHOWN: Final = ("FRESHET_PAGE", "FRESHET_PAGE_USERS", "FRESHET_SIMILAR_USERS", "FRESHET_DOCS")
"""What the demo on one machine shows beside the API."""


@dataclass(frozen=True)
class Ports:
    """Where the processes listen; the workers' metrics take ``workers_from`` and the ports after it."""

    api: int = 8000
    collector: int = 8001
    workers_from: int = 8011


@dataclass(frozen=True)
class Cluster:
    """The running processes and their addresses."""

    supervisor: Supervisor
    api: str
    collector: str


def services(settings: CommandSettings, ports: Ports, workers: int, folder: Path) -> list[Service]:
    """What runs: one collector, one online API, and so many workers."""
    common = {
        "FRESHET_STACK": "cluster",
        "FRESHET_DATA": str(folder.resolve()),
        **settings.server_environment(),
        "FRESHET_PREFIX": settings.prefix,
        "FRESHET_PARTITIONS": str(settings.partitions),
        "FRESHET_ARCHIVE": str((settings.archive or folder / "archive").resolve()),
        "FRESHET_LOG_LEVEL": settings.log_level,
    }
    api, collector = _address(ports.api), _address(ports.collector)
    return [
        Service(
            "collector",
            "ingest.main",
            {**common, "FRESHET_COLLECTOR_PORT": str(ports.collector), "FRESHET_CORS_ORIGINS": _origins(ports.api)},
        ),
        *(_worker(common, ports.workers_from + number, folder, number) for number in range(1, workers + 1)),
        Service(
            "api",
            "serving.main",
            {
                **common,
                "FRESHET_HOST": "127.0.0.1",
                "FRESHET_PORT": api.rpartition(":")[2],
                "FRESHET_EVENTS_URL": collector,
                **dict.fromkeys(_SHOWN, "true"),
            },
        ),
    ]


def start(
    settings: CommandSettings,
    folder: Path,
    ports: Ports | None = None,
    workers: int = 2,
    seconds: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
) -> Cluster:
    """Start the processes and wait until both HTTP ends are alive; raises ServerMissing, PortInUse."""
    ports = ports or Ports()
    supervisor = Supervisor(services(settings, ports, workers, folder), folder / "logs")
    cluster = Cluster(supervisor, _address(ports.api), _address(ports.collector))
    for address in (cluster.api, cluster.collector):
        if alive(address):
            raise PortInUse(f"something answers at {address} already; stop it or choose other ports")
    supervisor.start()
    deadline = clock() + seconds
    for name, address in (("collector", cluster.collector), ("api", cluster.api)):
        while not alive(address):
            if clock() > deadline:
                supervisor.stop()
                raise ServerMissing(f"the {name} did not answer within {seconds:g} s; see {supervisor.log_of(name)}")
            time.sleep(0.1)
    return cluster


def ready(address: str) -> bool:
    """Whether a process says that it is ready."""
    return _answers(f"{address}/health/ready")


def _worker(common: dict[str, str], metrics_port: int, folder: Path, number: int) -> Service:
    worker_settings = {
        "FRESHET_METRICS_PORT": str(metrics_port),
        "FRESHET_WORKER_DIR": str((folder / f"worker-{number}").resolve()),
    }
    return Service(f"worker-{number}", "nearline.main", {**common, **worker_settings})


def _origins(port: int) -> str:
    return f"http://127.0.0.1:{port},http://localhost:{port}"


def _address(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def alive(address: str) -> bool:
    """Whether a process answers at all."""
    return _answers(f"{address}/health/live")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - an address of our own making
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
