"""Where the service's time and randomness come from."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple

from schemas.ports import Clock


class Sources(NamedTuple):
    """Handed in, so that a test or a recording decides them."""

    clock: Clock = time.time
    """Seconds since 1970, UTC."""
    steady: Clock = time.monotonic
    """Seconds that only move forward."""
    new_id: Callable[[], str] = lambda: os.urandom(16).hex()
    """Ids of answers."""
