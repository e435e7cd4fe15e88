"""The supervisor starts again what has ended, for as long as it watches, and holds no file for it."""

import time
from pathlib import Path

import pytest

from deploy.processes import supervisor
from deploy.processes.supervisor import Service, Supervisor

OPEN_FILES = Path("/proc/self/fd")


def open_files() -> int:
    return len(list(OPEN_FILES.iterdir()))


@pytest.fixture
def crash_loop(tmp_path, monkeypatch):
    """A supervisor of a process that ends at once, which pauses for nothing but a moment."""
    (tmp_path / "ends_at_once.py").write_text("raise SystemExit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    starts = Supervisor(
        [Service("ends", "ends_at_once")], tmp_path / "logs", sleep=lambda seconds: time.sleep(min(seconds, 0.01))
    )
    yield starts
    starts.stop()


def until(holds, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="counts open files in /proc")
def test_a_crash_loop_leaves_no_file_open(crash_loop):
    crash_loop.start()
    pids = set()
    until(lambda: pids.add(crash_loop.pid("ends")) or len(pids) > 2)
    before = open_files()
    until(lambda: pids.add(crash_loop.pid("ends")) or len(pids) > 12)
    assert open_files() <= before + 1


def test_a_start_that_fails_unforeseen_is_tried_again(crash_loop, monkeypatch):
    crash_loop.start()
    launch, failures = supervisor.subprocess.Popen, [OSError("no more files"), RuntimeError("nobody foresaw this")]

    def popen(*args, **kwargs):
        if failures:
            raise failures.pop()
        return launch(*args, **kwargs)

    monkeypatch.setattr(supervisor.subprocess, "Popen", popen)
    pid = crash_loop.pid("ends")
    until(lambda: not failures and crash_loop.pid("ends") != pid)
