"""Long work on an event loop, with turns for everything else that waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

from schemas.ports import Clock

T = TypeVar("T")

TURN_SECONDS: Final = 0.005
"""Longest time that work holds the loop, if none of its steps takes longer."""


async def in_turns(steps: Iterable[T], seconds: float = TURN_SECONDS, clock: Clock | None = None) -> AsyncIterator[T]:
    """The same values; after ``seconds`` other tasks of the loop get their turn. The clock is the loop's by default."""
    clock = clock or asyncio.get_running_loop().time
    turn_ends = clock() + seconds
    for step in steps:
        yield step
        if clock() >= turn_ends:
            await asyncio.sleep(0)
            turn_ends = clock() + seconds
