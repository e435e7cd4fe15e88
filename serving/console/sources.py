"""What the process hands to the console's calls: the log, and what other processes measure."""

from __future__ import annotations

from typing import NamedTuple

from fastapi import APIRouter

from serving.console.recent import OpenLog
from serving.console.samples import Measured


class ConsoleSources(NamedTuple):
    """What the composition root opens for the console."""

    open_log: OpenLog
    measured: Measured = dict
    """Values that this process does not measure by its metrics."""
    unmeasured: tuple[str, ...] = ()
    """Figures that only other processes measure."""
    routers: tuple[APIRouter, ...] = ()
    """Calls of other tiers that the console uses."""
