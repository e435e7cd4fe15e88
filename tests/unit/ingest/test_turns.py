from __future__ import annotations

import asyncio
from itertools import count

from ingest.http.turns import in_turns


async def test_long_work_gives_other_tasks_their_turn():
    other_turns = 0

    async def other():
        nonlocal other_turns
        while True:
            other_turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    seconds = count()
    assert [step async for step in in_turns(range(9), 3.0, lambda: next(seconds))] == list(range(9))
    task.cancel()
    assert other_turns >= 3


async def test_short_work_is_done_in_one_turn():
    waiting = asyncio.create_task(asyncio.sleep(0))
    assert [step async for step in in_turns("abc", 1.0, lambda: 0.0)] == ["a", "b", "c"]
    assert not waiting.done()
    await waiting
