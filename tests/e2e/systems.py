"""A whole Freshet, embedded or on real servers, as its users meet it: the command and HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from deploy.config import CommandSettings
from deploy.processes import cluster

READY_SECONDS = 120.0
USERS_APART = 3
"""Of MovieLens' small set every so many-th user is taken,"""
LAST_FILM = 2_000
"""and of its films those that stood in it first: some 1,400, so that training on them takes a second or two."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def call(url: str, body: Any = None, method: str | None = None) -> tuple[int, Any]:
    """A JSON call: its status and body, also where that is an error."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def eventually(condition: Any, seconds: float, what: str) -> Any:
    """The condition's first true value; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.05)
    return value


QUICK = {
    "FRESHET_WEIGH_EVENTS": "400",
    "FRESHET_FACTORS": "16",
    "FRESHET_PARAMETERS": '{"als": {"iterations": 3}, "ials": {"iterations": 4}}',
}
"""Trainings that take seconds: what is tested here does not depend on how good a model is."""


class System(Protocol):
    """One Freshet."""

    stack: str
    folder: Path
    api: str
    collector: str

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def environment(self) -> dict[str, str]: ...


class EmbeddedSystem:
    """``freshet up`` on one folder."""

    stack = "embedded"

    def __init__(self, folder: Path, trainings: Mapping[str, str] = QUICK) -> None:
        self.folder, self._trainings = folder, trainings
        self._process: subprocess.Popen[bytes] | None = None
        self.api = self.collector = ""

    @property
    def pid(self) -> int | None:
        """The id of its process, while it runs."""
        return None if self._process is None else self._process.pid

    def environment(self) -> dict[str, str]:
        return {**os.environ, **self._trainings, "FRESHET_STACK": "embedded"}

    def start(self) -> None:
        port = free_port()
        self.api = self.collector = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "deploy.commands.cli", "up", "--data", str(self.folder), "--port", str(port)]
        output = (self.folder.parent / "up.log").open("ab")
        self._process = subprocess.Popen(command, env=self.environment(), stdout=output, stderr=output)
        eventually(self._lives, READY_SECONDS, "freshet up answers")

    def _lives(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder.parent / "up.log").read_text()
        return cluster.alive(self.api)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None


class ClusterSystem:
    """Collector, two workers and online API as processes of their own, over real servers."""

    stack = "cluster"

    def __init__(self, folder: Path, settings: CommandSettings, workers: int = 2) -> None:
        self.folder, self.settings, self._workers = folder, settings, workers
        self.running: cluster.Cluster | None = None
        self.api = self.collector = ""

    def environment(self) -> dict[str, str]:
        named = {name: str(getattr(self.settings, name)) for name in ("kafka", "redis", "cassandra", "prefix")}
        return {**os.environ, **QUICK, "FRESHET_STACK": "cluster"} | {
            f"FRESHET_{k.upper()}": v for k, v in named.items()
        }

    def start(self) -> None:
        ports = cluster.Ports(free_port(), free_port(), free_port())
        self.running = cluster.start(self.settings, self.folder, ports, self._workers)
        self.api, self.collector = self.running.api, self.running.collector

    def stop(self) -> None:
        if self.running is not None:
            self.running.supervisor.stop()
            self.running = None


def wait_until_ready(system: System) -> None:
    """Signals have caught up and a model is active."""
    eventually(lambda: cluster.ready(system.api), READY_SECONDS, "the online API is ready")


def some_movies(datasets: Path, folder: Path) -> tuple[Path, int]:
    """A copy of MovieLens' small set with a third of the users and the oldest films; how many ratings it has."""
    whole, copy = datasets / "ml-latest-small", folder / "ml-latest-small"
    copy.mkdir(parents=True)
    kept = {name: _some_lines(whole / f"{name}.csv") for name in ("movies", "links", "tags", "ratings")}
    for name, lines in kept.items():
        (copy / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return copy, len(kept["ratings"]) - 1


def _some_lines(path: Path) -> list[str]:
    header, *lines = path.read_text().splitlines()
    if header.startswith("movieId,"):
        return [header, *(line for line in lines if int(line.split(",", 1)[0]) <= LAST_FILM)]
    told = [(line, *map(int, line.split(",", 2)[:2])) for line in lines]
    return [header, *(line for line, user, film in told if user % USERS_APART == 0 and film <= LAST_FILM)]


def wait_for_aggregates(api: str, events: int) -> None:
    """The online API has read aggregates of so many events."""

    def read() -> bool:
        version = call(f"{api}/v1/users/nobody/recommendations")[1]["aggregates_version"]
        return version != "-" and sum(int(offset) + 1 for offset in version.split(".")) >= events

    eventually(read, READY_SECONDS, f"aggregates of {events} events are read")


def freshet(system: System, *arguments: str, seconds: float = 300) -> str:
    """Run the command on the system; its standard output. Fails with what it printed."""
    command = [
        sys.executable,
        "-m",
        "deploy.commands.cli",
        *arguments,
        "--data",
        str(system.folder),
        "--stack",
        system.stack,
    ]
    done = subprocess.run(
        command, env=system.environment(), capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, f"{' '.join(arguments)}: {done.stdout}\n{done.stderr}"
    return done.stdout


def recommendations(system: System, user: str, **parameters: Any) -> dict[str, Any]:
    """A user's answer."""
    query = urllib.parse.urlencode(parameters, doseq=True)
    status, answer = call(f"{system.api}/v1/users/{urllib.parse.quote(user, safe='')}/recommendations?{query}")
    assert status == 200, answer
    return answer


def send(system: System, **event: Any) -> str:
    """Send one event; its offset token."""
    status, answer = call(f"{system.collector}/v1/events", event)
    assert status == 202, answer
    return answer["results"][0]["offset"]


@contextmanager
def running(system: System) -> Iterator[System]:
    """The system for the length of a ``with``."""
    system.start()
    try:
        yield system
    finally:
        system.stop()
