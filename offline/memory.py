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
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        unit = 1024**2 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def available_mib() -> float:
    """Memory that can be had without swapping, in MiB; endless where the system does not say."""
    try:
        lines = _FREE.read_text().splitlines()
    except OSError:
        return float("inf")
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("MemAvailable")), float("inf"))
