"""Retention by event type on the embedded stack: raw events go, and the signals are folded anew without them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from deploy.commands.cli import app as commands
from deploy.config import CommandSettings
from deploy.embedded.app import create_app, nearline
from deploy.wiring.dependencies import open_dependencies
from schemas.errors import ConfigurationInvalid
from serving.config import Settings

SECOND_AS_DAYS = 1 / 86_400


def run(folder: Path, *arguments: str):
    return CliRunner().invoke(commands, [*arguments, "--data", str(folder)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    with (
        nearline(CommandSettings(data=folder)) as running,
        TestClient(create_app(running, Settings(data=folder))) as client,
    ):
        for number in range(6):
            for event in ({"type": "search", "query": f"old words {number}"}, {"type": "like", "item_id": "i1"}):
                assert client.post("/v1/events", json={**event, "user_id": f"u{number}"}).status_code == 202
        while running.missing() is not None:
            time.sleep(0.05)
    return folder


def test_events_leave_log_archive_and_signals_and_the_signals_stay_equal(folder, monkeypatch):
    assert run(folder, "archive").exit_code == 0
    time.sleep(1.1)
    monkeypatch.setenv("FRESHET_RETENTION_DAYS_BY_TYPE", f"search={SECOND_AS_DAYS:.9f},like=400")
    done = run(folder, "retention")
    assert done.exit_code == 0, done.output
    assert "12 search" in " ".join(done.output.split()), "six in the log, six in the archive"
    kept = [
        path
        for path in folder.rglob("*")
        if (path.is_file() and path.suffix == ".parquet") or path.name == "log.sqlite"
    ]
    with open_dependencies(CommandSettings(data=folder)) as opened:
        values = [
            record.value or b"" for partition in range(8) for record in opened.reader.read("events", partition, 0, 100)
        ]
        runs = opened.runs.runs(1)
    assert (len(values), sum(b"search" in value for value in values), sum(b"like" in value for value in values)) == (
        12,
        0,
        6,
    )
    assert kept
    assert (runs[0].job, runs[0].expired, runs[0].outcome) == ("retention", 12, "done")
    verified = run(folder, "signals", "verify")
    assert verified.exit_code == 0, verified.output
    again = run(folder, "retention")
    assert "Removed records: none" in " ".join(again.output.split())


def test_a_run_that_ended_before_the_signals_were_folded_is_finished_by_the_next(folder, monkeypatch):
    time.sleep(1.1)
    monkeypatch.setenv("FRESHET_RETENTION_DAYS_BY_TYPE", f"search={SECOND_AS_DAYS:.9f}")
    with monkeypatch.context() as broken:
        broken.setattr("deploy.wiring.retention.rebuild_signals", _dies)
        assert run(folder, "retention").exit_code != 0
    assert run(folder, "signals", "verify").exit_code == 1
    assert run(folder, "retention").exit_code == 0
    assert run(folder, "signals", "verify").exit_code == 0


def _dies(*_):
    raise KeyboardInterrupt


def test_without_a_retention_the_command_says_what_to_set(folder):
    refused = run(folder, "retention")
    assert isinstance(refused.exception, ConfigurationInvalid)
    assert "FRESHET_RETENTION_DAYS_BY_TYPE" in str(refused.exception)
