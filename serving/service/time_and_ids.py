"""The clocks and the id generator of the service."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple

from schemas.ports import Clock


class TimeAndIds(NamedTuple):
    """Two clocks and an id generator; a test hands in its own, so that answers repeat."""

    clock: Clock = time.time
    """Seconds since 1970, UTC."""
    steady: Clock = time.monotonic
    """Seconds that only move forward."""
    new_id: Callable[[], str] = lambda: os.urandom(16).hex()
    """Ids of answers."""
