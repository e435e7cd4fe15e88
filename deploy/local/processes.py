"""Server processes that outlive their launcher. It ends a process only if it certainly started that process."""

import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class ProcessRecord:
    """A started process. Its start distinguishes it from a later process with the same pid."""

    pid: int
    started: str
    port: int

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The record at `path`; None when there is none or it was not written to its end."""
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Writes the record in one step, so that a reader never sees half of it."""
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(path)

    def alive(self) -> bool:
        """True if this process still runs."""
        state = _state_of(self.pid)
        if state is None or state.start_mark != self.started:
            return False
        if state.ended:
            _reap(self.pid)
        return not state.ended

    def end(self, timeout: float) -> bool:
        """Asks the process to end, and kills it after `timeout` s; False when it had to."""
        self._signal(signal.SIGTERM)
        if self._ends_within(timeout):
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """Ends the process as a crash would, and returns when it is gone."""
        self._signal(signal.SIGKILL)
        self._ends_within(float("inf"))

    def _signal(self, number: signal.Signals) -> None:
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            # Checked with the handle in hand: the pid can't pass to another process in between.
            if self.alive():
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return
        finally:
            os.close(handle)

    def _ends_within(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True


def spawn(command: Sequence[str], log: Path, port: int) -> ProcessRecord:
    """Starts a process in a session of its own, its output in `log`, and returns its record."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        command[0],
        list(command),
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        # A Ctrl-C in the launcher's terminal must not reach the servers before their orderly stop.
        setsid=True,
    )
    state = _state_of(pid)
    return ProcessRecord(pid, state.start_mark if state else "", port)


@dataclass(frozen=True)
class ProcessState:
    """The state of a process in /proc: a mark that distinguishes it from others with its pid, and if it has ended."""

    start_mark: str
    ended: bool


def parse_stat(stat: str, boot: str) -> ProcessState:
    """Reads the text of /proc/<pid>/stat; the mark is the boot and the tick of the start."""
    # A program's name may hold spaces and parentheses, so fields count from its last one.
    state, *fields = stat.rpartition(")")[2].split()
    return ProcessState(start_mark=f"{boot}:{fields[18]}", ended=state in "ZX")


def _state_of(pid: int) -> ProcessState | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return parse_stat(stat, boot)


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
