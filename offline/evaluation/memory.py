"""Memory use of this process."""

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
    """Resets the peak, if the system supports it (Linux)."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5")


def peak_mib() -> float:
    """Returns the peak resident memory in MiB, since the last reset or since the process started."""
    peak = _status("VmHWM")
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit if peak is None else peak


def held_mib() -> float | None:
    """Returns the current resident memory in MiB. None if the system does not report it."""
    return _status("VmRSS")


def available_mib() -> float:
    """Returns the memory available without swapping, in MiB. Infinite if the system does not report it."""
    available = _line(_FREE, "MemAvailable")
    return float("inf") if available is None else available


def _status(name: str) -> float | None:
    return _line(_STATUS, name)


def _line(path: Path, name: str) -> float | None:
    """Returns one figure of a Linux status file in MiB. The file counts in KiB."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), None)
