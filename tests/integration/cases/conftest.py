"""Cases that people of the trade really met: their folder, the command for their scripts, and a process for their calls."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.systems import EmbeddedSystem, eventually
from tests.integration.cases.command_server import RUNS
from tests.integration.cases.outcomes import Calls, Run, Script

CASES = Path(os.environ.get("FRESHET_CASES") or ROOT.parent / "shared" / "cases")
SCRIPT_SECONDS = 150

RunScript = Callable[[str], Script]
RunCalls = Callable[[str], Calls]


def environment(**more: str) -> dict[str, str]:
    """The environment without settings of Freshet; output is not wrapped."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("FRESHET_")}
    return {**own, "PYTHONPATH": str(ROOT), "COLUMNS": "400", "NO_COLOR": "1", **more}


@pytest.fixture(scope="session")
def command_path() -> Iterator[str]:
    """A PATH whose ``freshet`` is served by one process; see ``command_server``."""
    # The path of a socket must be short, which those of pytest's folders are not everywhere.
    with tempfile.TemporaryDirectory(prefix="freshet-") as place:
        folder, program = Path(place), str(Path(__file__).with_name("command_server.py"))
        write_command(folder / "bin" / "freshet", program)
        arguments = [sys.executable, program, "serve", place]
        with subprocess.Popen(arguments, stdin=subprocess.PIPE, env=environment()) as server:
            eventually(lambda: (folder / "socket").exists() or server.poll() is not None, 60, "the command is served")
            yield f"{folder / 'bin'}:{os.environ['PATH']}"


def write_command(path: Path, program: str) -> None:
    """Writes a ``freshet`` that asks the server in the folder above."""
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{program}" run "{path.parents[1]}" "$@"\n')
    path.chmod(0o755)


@pytest.fixture(scope="session")
def run_script(command_path: str, tmp_path_factory: pytest.TempPathFactory) -> RunScript:
    """Runs the ``cmd.sh`` of a case on a copy of its folder, because some write beside their files."""

    def run(case: str) -> Script:
        place = tmp_path_factory.mktemp(case)
        folder = Path(shutil.copytree(CASES / case, place / case))
        folder.chmod(0o755)
        shutil.copy(CASES / "dump.py", place)
        runs = place / "runs.jsonl"
        variables = environment(PATH=command_path, D=str(place / "data"), **{RUNS: str(runs)})

        def freshet(*arguments: str) -> Run:
            output_of(["freshet", *arguments], folder, variables)
            return read_runs(runs)[-1]

        output = output_of(["sh", "cmd.sh"], folder, variables)
        return Script(output, read_runs(runs), freshet)

    return run


def output_of(command: list[str], folder: Path, variables: dict[str, str]) -> str:
    """Runs a command; what it printed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SCRIPT_SECONDS,
        check=False,
    )
    return done.stdout.decode()


def read_runs(path: Path) -> list[Run]:
    """The runs that the server of the command noted."""
    return [Run(**json.loads(line)) for line in path.read_text().splitlines()]


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedSystem]:
    """One ``freshet up`` on an empty folder, for all cases that call a process."""
    system = EmbeddedSystem(tmp_path_factory.mktemp("up") / "data")
    system.folder.mkdir()
    system.start()
    yield system
    system.stop()


@pytest.fixture(scope="session")
def run_calls(command_path: str, system: EmbeddedSystem, tmp_path_factory: pytest.TempPathFactory) -> RunCalls:
    """Runs the ``case.py`` of a case against that process."""

    def run(case: str) -> Calls:
        folder = tmp_path_factory.mktemp(case)
        variables = {"PORT": system.api.rpartition(":")[2], "DATA": str(system.folder), RUNS: str(folder / "runs")}
        program = [sys.executable, "-B", str(CASES / case / "case.py")]
        return Calls(system.api, output_of(program, folder, environment(PATH=command_path, **variables)))

    return run
