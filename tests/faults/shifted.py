"""Runs a module with its wall clock some seconds ahead: ``python -m tests.faults.shifted SECONDS MODULE [argument ...]``."""

from __future__ import annotations

import runpy
import sys
import time


def shift(seconds: float) -> None:
    """Let ``time.time`` of this process be ahead, or behind if negative."""
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() + seconds
    time.time_ns = lambda: real_ns() + int(seconds * 1e9)


if __name__ == "__main__":
    shift(float(sys.argv[1]))
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
