import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.local.processes import ProcessRecord, parse_stat, spawn

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)",
]


@pytest.fixture
def sleeper(tmp_path: Path):
    record = spawn(SLEEP, tmp_path / "log", 1)
    yield record
    record.kill()


def test_a_spawned_process_is_alive_until_it_is_ended(sleeper: ProcessRecord) -> None:
    assert sleeper.alive()
    assert sleeper.end(timeout=10)
    assert not sleeper.alive()


def test_a_process_that_took_over_a_recorded_pid_is_never_ended(sleeper: ProcessRecord) -> None:
    of_an_earlier_process = replace(sleeper, started="another boot:1")
    assert not of_an_earlier_process.alive()
    of_an_earlier_process.end(timeout=1)
    of_an_earlier_process.kill()
    assert sleeper.alive()


def test_a_process_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    record = spawn(STUBBORN, tmp_path / "log", 1)
    while "ready" not in (tmp_path / "log").read_text():
        time.sleep(0.01)
    assert not record.end(timeout=0.2)
    assert not record.alive()


def test_a_process_that_ended_but_was_not_reaped_counts_as_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        seen = parse_stat(Path(f"/proc/{child.pid}/stat").read_text(), boot)
        assert seen.ended
        assert not ProcessRecord(child.pid, "not this one", 1).alive()
        assert child.wait() == 0


def test_a_program_name_with_spaces_and_parentheses_does_not_shift_the_start_time() -> None:
    fields = " ".join(str(number) for number in range(4, 53))
    assert parse_stat(f"7 (a b) c) S {fields}", "boot").start_mark == "boot:22"


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = ProcessRecord(pid=12, started="boot:34", port=56)
    record.write(tmp_path / "process.json")
    assert ProcessRecord.read(tmp_path / "process.json") == record


@pytest.mark.parametrize("text", ["", "{", '{"pid": 1}', "[]", "null"])
def test_a_damaged_record_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "process.json").write_text(text)
    assert ProcessRecord.read(tmp_path / "process.json") is None


def test_a_missing_record_counts_as_none(tmp_path: Path) -> None:
    assert ProcessRecord.read(tmp_path / "process.json") is None
