"""How much memory this process has needed."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path
from typing import Final

_CLEAR: Final = Path("/proc/self/clear_refs")
_STATUS: Final = Path("/proc/self/status")
_FREE: Final = Path("/proc/meminfo")


def reset_peak() -> None:
    """Begin to measure anew, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5")


def peak_mib() -> float:
    """The largest resident memory since the last reset, or of the process's whole life; in MiB."""
    found = _status("VmHWM")
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit if found is None else found


def held_mib() -> float | None:
    """Resident memory now, in MiB; None where the system does not say."""
    return _status("VmRSS")


def available_mib() -> float:
    """Memory that can be had without swapping, in MiB; endless where the system does not say."""
    found = _line(_FREE, "MemAvailable")
    return float("inf") if found is None else found


def _status(name: str) -> float | None:
    return _line(_STATUS, name)


def _line(path: Path, name: str) -> float | None:
    """The figure of one line of a file of Linux, which counts in KiB."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), None)
