"""The jobs as Airflow and systemd run them: what they call is what ``freshet`` has."""

from __future__ import annotations

import configparser
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import ClassVar, Self

import pytest
import typer

from deploy.commands.cli import app

DEPLOY = Path(__file__).parents[4] / "deploy"
UNITS = DEPLOY / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
TIMERS = sorted(UNITS.glob("*.timer"))


def parsed(arguments: list[str]) -> str:
    """The words of the command that ``freshet`` would run; a usage error for what it does not have."""
    command = typer.main.get_command(app)
    context = command.make_context("freshet", list(arguments))
    while hasattr(command, "resolve_command"):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)
    return context.command_path.removeprefix("freshet ")


class _Dag:
    made: ClassVar[dict[str, _Dag]] = {}
    open: _Dag | None = None

    def __init__(self, dag_id: str, **options: object) -> None:
        self.options = options
        self.tasks: list[_Bash] = []
        _Dag.made[dag_id] = self

    def __enter__(self) -> Self:
        _Dag.open = self
        return self

    def __exit__(self, *_: object) -> None:
        _Dag.open = None


class _Bash:
    def __init__(self, task_id: str, bash_command: str, **options: object) -> None:
        assert _Dag.open is not None
        self.task_id, self.options, self.after = task_id, options, ""
        self.words = shlex.split(
            bash_command.replace("{{ var.value.get('freshet_command', 'freshet') }}", "freshet").replace(
                "{{ var.value.get('freshet_data', '/var/lib/freshet') }}", "/var/lib/freshet"
            )
        )
        _Dag.open.tasks.append(self)

    def __rshift__(self, other: _Bash) -> _Bash:
        other.after = self.task_id
        return other


@pytest.fixture
def dags(monkeypatch):
    """The DAG file, read with a stand-in for Airflow, which is no dependency of Freshet's."""
    operators = "airflow.providers.standard.operators.bash"
    for name in ("airflow", *(operators.rsplit(".", n)[0] for n in (3, 2, 1)), operators):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules["airflow"], "DAG", _Dag, raising=False)
    monkeypatch.setattr(sys.modules[operators], "BashOperator", _Bash, raising=False)
    monkeypatch.setattr(_Dag, "made", {})
    spec = importlib.util.spec_from_file_location("freshet_dag", DEPLOY / "airflow" / "freshet_dag.py")
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return _Dag.made


def test_every_airflow_task_is_a_command_that_freshet_has(dags):
    commands = {
        dag_id: [parsed(task.words[task.words.index("freshet") + 1 :]) for task in dag.tasks]
        for dag_id, dag in dags.items()
    }
    assert commands == {
        "freshet_full": ["archive", "train", "statistics"],
        "freshet_incremental": ["archive", "train"],
        "freshet_drift": ["jobs drift"],
        "freshet_privacy": ["retention", "rebuild signals"],
    }


def test_an_airflow_training_waits_for_the_archive_and_runs_once_at_a_time(dags):
    assert [(task.task_id, task.after) for task in dags["freshet_full"].tasks] == [
        ("archive", ""),
        ("train", "archive"),
        ("statistics", "train"),
    ]
    assert all(dag.options["max_active_runs"] == 1 and not dag.options["catchup"] for dag in dags.values())


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_every_systemd_service_runs_a_command_that_freshet_has(unit):
    section = configparser.ConfigParser(strict=False, interpolation=None)
    section.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    section.read(unit)
    program, *arguments = shlex.split(section["Service"]["ExecStart"])
    assert program.endswith("/bin/freshet")
    named = unit.stem.removeprefix("freshet-")
    assert parsed(arguments) == {"incremental": "train", "rebuild": "rebuild signals"}.get(named, named)
    assert ("--incremental" in arguments) == (named == "incremental")


def test_every_timer_has_its_service():
    assert {timer.stem for timer in TIMERS} == {unit.stem for unit in SERVICES} - {"freshet-schedule"}


def test_systemd_accepts_every_unit(tmp_path):
    if (analyze := shutil.which("systemd-analyze")) is None:
        if os.environ.get("FRESHET_REQUIRE_STACK") == "1":
            pytest.fail("FRESHET_REQUIRE_STACK=1, but systemd-analyze is missing: apt-get install systemd")
        pytest.skip("systemd-analyze is missing: apt-get install systemd")
    program = tmp_path / "freshet"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for unit in (*SERVICES, *TIMERS):
        text = unit.read_text().replace("/opt/freshet/.venv/bin/freshet", str(program))
        (tmp_path / unit.name).write_text(text)
    units = sorted(path for path in tmp_path.iterdir() if path.suffix in (".service", ".timer"))
    done = subprocess.run([analyze, "verify", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_command_that_freshet_does_not_have_is_noticed():
    with pytest.raises(Exception, match="No such option"):
        parsed(["train", "--incrementally"])
    with pytest.raises(Exception, match="No such command"):
        parsed(["jobs", "drifting"])
