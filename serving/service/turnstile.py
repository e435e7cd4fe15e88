"""Lets costly requests go on one by one, so that a flood of them never holds the event loop for longer than one does."""

from __future__ import annotations

import asyncio
from typing import Final

LONG_LIST: Final = 100
"""A list of so many items takes tens of milliseconds in a large catalogue."""


class Turnstile:
    """Used from one event loop. Requests pass in their order; between two, everything else that waits has its turn."""

    def __init__(self) -> None:
        self._free = asyncio.Lock()

    async def wait(self) -> None:
        """Wait for this request's turn, at least one turn of the loop."""
        async with self._free:
            await asyncio.sleep(0)
