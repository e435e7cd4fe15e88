"""Runs the cluster's processes on one machine: starts them, restarts those that die, and ends them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from schemas.background import BackgroundTask
from schemas.configuration.secrets import SUFFIX

log = structlog.get_logger(__name__)

_STOP_SECONDS = 15.0
_RESTART_SECONDS = 1.0
_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Service:
    """One process: a Python module with its environment."""

    name: str
    module: str
    environment: Mapping[str, str] = field(default_factory=dict)


class Supervisor:
    """Keeps services running; their output goes to ``<folder>/<name>.log``."""

    def __init__(self, services: list[Service], folder: Path, sleep: Callable[[float], None] = time.sleep) -> None:
        self._services = {service.name: service for service in services}
        self._folder, self._sleep = folder, sleep
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._watching = threading.Event()
        self._watcher: threading.Thread | None = None

    def start(self) -> None:
        """Start every service and watch over them."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for name in self._services:
            self._launch(name)
        self._watching.set()
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """End every service: asked first, killed when it does not go."""
        self._watching.clear()
        if self._watcher is not None:
            self._watcher.join()
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        for process in self._running.values():
            _end(process, deadline)

    @property
    def names(self) -> list[str]:
        """The services that run."""
        return list(self._running)

    def pid(self, name: str) -> int:
        """The process id of a service, as it runs now."""
        return self._running[name].pid

    def log_of(self, name: str) -> Path:
        """The file of a service's output."""
        return self._folder / f"{name}.log"

    def _launch(self, name: str) -> None:
        service = self._services[name]
        # The process has a handle of its own: one that stayed open here would be one more with each restart.
        with self.log_of(name).open("ab") as output:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", service.module],
                env=_environment(os.environ, service.environment),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _watch(self) -> None:
        task = BackgroundTask("supervising processes")
        while self._watching.is_set():
            with task.step():
                self._restart_ended()
            self._sleep(task.pause(_LOOK_SECONDS))

    def _restart_ended(self) -> None:
        for name, process in list(self._running.items()):
            if process.poll() is not None and self._watching.is_set():
                log.warning("a process ended and is started again", name=name, code=process.returncode)
                self._sleep(_RESTART_SECONDS)
                self._launch(name)


def _environment(inherited: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process. A file of a secret is left out if the secret itself is given: only one may be."""
    files = {name + SUFFIX for name in own}
    return {name: text for name, text in inherited.items() if name not in files} | dict(own)


def _end(process: subprocess.Popen[bytes], deadline: float) -> None:
    try:
        process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
