"""Runs an example as its README says: the same settings and commands, on a folder of the test's own."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.commands.cli import app
from schemas.configuration.plugins import load_plugins

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples"
READY_SECONDS = 120.0
Output = list[str]


@pytest.fixture(autouse=True)
def project_folder(monkeypatch) -> Iterator[None]:
    """Examples are run from the project's folder; no plugin stays loaded after a test."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("FRESHET_STACK", "embedded")
    yield
    load_plugins(())


@pytest.fixture
def settings(monkeypatch) -> Callable[[str], None]:
    """Puts the settings of an example into the environment."""

    def use(example: str) -> None:
        for name, value in _settings(example).items():
            monkeypatch.setenv(name, value)

    return use


@pytest.fixture
def run_readme(tmp_path) -> Callable[[str], Output]:
    """Runs the ``freshet`` commands of an example's README, on a folder of the test; returns their outputs."""

    def run(example: str) -> Output:
        text = (EXAMPLES / example / "README.md").read_text()
        blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
        commands = [line for block in blocks for line in block.splitlines() if line.startswith("freshet ")]
        return [_run(command, tmp_path / "data") for command in commands]

    return run


@pytest.fixture
def running(tmp_path):
    """Starts ``freshet up`` with the settings of an example; gives its address."""

    @contextmanager
    def start(example: str) -> Iterator[str]:
        port = _free_port()
        command = [
            sys.executable,
            "-m",
            "deploy.commands.cli",
            "up",
            "--port",
            str(port),
            "--data",
            str(tmp_path / "data"),
        ]
        environment = {**os.environ, **_settings(example)}
        with (tmp_path / "up.log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(process, url, tmp_path / "up.log")
            yield url
        finally:
            process.terminate()
            process.wait(30)

    return start


def _settings(example: str) -> dict[str, str]:
    lines = shlex.split((EXAMPLES / example / "settings.env").read_text())
    return dict(line.split("=", 1) for line in lines)


def _run(command: str, data: Path) -> str:
    arguments = shlex.split(command)[1:]
    arguments[arguments.index("--data") + 1] = str(data)
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, f"{url} is not ready: {log.read_text()}"
        try:
            urllib.request.urlopen(f"{url}/health/ready", timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
