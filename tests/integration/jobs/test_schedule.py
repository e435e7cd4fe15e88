"""Jobs that run by themselves, as real processes on a real folder."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from adapters.files.lease import FileLease
from adapters.parquet.archive import ParquetArchive
from adapters.sqlite.jobs import SqliteRuns
from adapters.sqlite.models import SqliteModelStore
from deploy.config import CommandSettings
from deploy.processes.schedule import scheduling
from schemas.log import topics

TRAIN = [sys.executable, "-m", "deploy.commands.cli", "train", "--force", "--data"]


@pytest.fixture
def runs(tmp_path):
    with closing(SqliteRuns(tmp_path)) as runs:
        yield runs


@pytest.fixture
def models(tmp_path):
    with closing(SqliteModelStore(tmp_path)) as models:
        yield models


def until(holds, seconds=40.0):
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
    return found


def succeeded_at(job):
    return REGISTRY.get_sample_value("freshet_job_last_success_timestamp_seconds", {"job": job})


def trained(runs):
    return [run for run in runs.runs() if run.job == "train"]


def test_a_training_killed_half_way_leaves_no_lock_and_no_half_version_and_the_next_goes_on(
    tmp_path, happen, runs, models
):
    happen(people=400, each=40)
    process = subprocess.Popen([*TRAIN, tmp_path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: any(run.step.startswith("interactions") for run in runs.runs()) or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    [killed] = runs.runs()
    assert killed.outcome == "running"
    assert (models.versions(), models.active()) == ([], None)
    with closing(FileLease(tmp_path)) as lease:
        assert lease.held("train") is None
    archived = {
        path: Path(path).stat().st_mtime_ns for path in ParquetArchive(tmp_path / "archive").files(topics.EVENTS)
    }
    assert archived

    done = subprocess.run([*TRAIN, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert models.active() is not None
    newest, former = runs.runs()
    assert (newest.outcome, newest.message) == ("done", models.active())
    assert newest.token > former.token
    assert (former.run_id, former.outcome) == (killed.run_id, "lost")
    assert "its process was gone at 'interactions" in former.message
    assert archived == {path: Path(path).stat().st_mtime_ns for path in archived}
    assert len(ParquetArchive(tmp_path / "archive").files(topics.EVENTS)) == len(archived)


def test_a_second_training_says_who_trains_and_since_when(tmp_path, happen, runs):
    happen()
    with closing(FileLease(tmp_path)) as lease:
        lease.acquire("train", "pid 7 on ann", 1_767_240_753.0)
        done = subprocess.run([*TRAIN, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "'train' runs already: pid 7 on ann, since 2026-01-01 04:12:33 UTC" in " ".join(done.stderr.split())
    assert runs.runs() == []


def test_the_schedule_makes_the_first_model_by_itself_and_says_why(tmp_path, happen, runs, models):
    happen()
    with scheduling(CommandSettings(data=tmp_path), 0.2):
        [first] = until(lambda: [run for run in trained(runs) if run.outcome == "done"])
        until(lambda: succeeded_at("train") == pytest.approx(first.finished_at.timestamp()))
    assert first.message == models.active()
    assert first.reason == "there is no model yet"
    assert "is active" in (tmp_path / "logs" / "train.log").read_text()


def test_ending_the_schedule_ends_the_job_under_way_and_its_record_says_so(tmp_path, happen, runs, models):
    happen(people=400, each=40)
    begun = threading.Event()
    with scheduling(CommandSettings(data=tmp_path), 0.2):
        until(lambda: [run for run in trained(runs) if run.outcome == "running" and run.step])
        begun.set()
    assert begun.is_set()
    [ended] = trained(runs)
    assert ended.outcome == "stopped"
    assert models.active() is None


def test_a_job_that_cannot_even_begin_is_on_record_with_its_last_words(tmp_path, happen, runs):
    happen(partitions=4)  # the commands expect eight
    with scheduling(CommandSettings(data=tmp_path), 0.2):
        until(lambda: [run for run in trained(runs) if run.outcome == "failed"])
    assert "was made with 4 partitions" in trained(runs)[0].message
    assert len(trained(runs)) == 1
