"""Tells whether a process that once held something still lives, if it was of this machine.

A process is known by the boot of its machine, the namespace of its number, the number and the time of its start (proc(5)). So
a new process with the same number is not taken for the old one, and neither is one of another container.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

_PROC: Final = Path("/proc")
_ENDED: Final = "ended"
_DEAD: Final = frozenset({"Z", "X"})
"""States of a process that has ended, but whose parent has not asked for its exit code yet."""


class _Process(NamedTuple):
    """A process, as others of its machine can find it again."""

    place: str
    pid: int
    started: str


def identity(pid: int | None = None) -> str:
    """Returns the identity of a process (this one by default); empty where the system has no ``/proc``."""
    number = os.getpid() if pid is None else pid
    place, started = _place(), _started(number)
    return msgspec.json.encode(_Process(place, number, started)).decode() if place and started else ""


def is_gone(known: str) -> bool:
    """True if the process of an ``identity`` was of this machine and has ended; False if it lives or nobody can tell."""
    try:
        process = msgspec.json.decode(known, type=_Process)
    except msgspec.DecodeError:
        return False
    if not process.place or process.place != _place():
        return False
    started = _started(process.pid)
    return started not in ("", process.started) or _is_missing(process.pid)


def _place() -> str:
    """The boot of this machine, and the namespace of process numbers."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """The time of a process's start, in ticks since the boot; empty if it cannot be read."""
    try:
        # The name, in parentheses, may contain blanks and parentheses.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return _ENDED if fields[0] in _DEAD else fields[19]


def _is_missing(pid: int) -> bool:
    """True if there is no such process. ``/proc`` may hide those of other users."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False
