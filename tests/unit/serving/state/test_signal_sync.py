"""Following a signal: what has changed is taken over while requests go on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import perf_counter

from schemas.errors import StoreUnavailable
from schemas.keys import Signal
from schemas.log.fence import Fence
from schemas.ports import SignalChanges
from serving.state.signal_sync import SignalSync

STEPS = 40
STEP_SECONDS = 0.001


class OneChange:
    """A SignalReader whose partition has changed."""

    async def changes(self, *_: object) -> SignalChanges:
        return SignalChanges(Fence("log", 7), {"pop:a": b""}, whole=False)


def test_requests_get_their_turns_between_the_steps_of_taking_changes_over():
    turns: list[int] = []
    taken = 0

    def slow(_: object) -> Iterator[None]:
        nonlocal taken
        while taken < STEPS:
            taken += 1
            until = perf_counter() + STEP_SECONDS
            while perf_counter() < until:
                pass
            yield

    async def requests() -> None:
        while taken < STEPS:
            turns.append(taken)
            await asyncio.sleep(0)

    async def both() -> SignalSync:
        nonlocal taken
        follower = SignalSync(Signal.AGGREGATES, OneChange(), 1, slow, clock=lambda: 0.0)
        await follower.refresh()
        taken = 0
        await asyncio.gather(follower.refresh(), requests())
        return follower

    follower = asyncio.run(both())
    # A request waits for Redis more than once: it needs turns at many moments, and several at each.
    moments = set(turns)
    assert len(moments) >= STEPS / 4
    assert len(turns) >= 2 * len(moments)
    assert follower.version == "7"


def test_what_could_not_be_taken_over_is_read_again():
    changes, taken = OneChange(), []

    def failing(changed: object) -> Iterator[None]:
        taken.append(changed)
        yield
        if len(taken) == 1:
            raise OSError("the store went away")

    async def twice() -> SignalSync:
        follower = SignalSync(Signal.AGGREGATES, changes, 1, failing, clock=lambda: 0.0)
        await follower.refresh()
        assert follower.version == "-"
        await follower.refresh()
        return follower

    assert asyncio.run(twice()).version == "7"
    assert taken[0] == taken[1]


class Followed:
    """A SignalReader of two partitions, whose second can be away."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, Fence | None]] = []
        self.away = False

    async def changes(self, partition: int, _: str, since: Fence | None) -> SignalChanges:
        self.asked.append((partition, since))
        if self.away and partition == 1:
            raise StoreUnavailable("away")
        return SignalChanges(Fence("log", 7), {}, whole=since is None)


async def test_a_partition_that_was_folded_again_at_its_fence_is_read_anew_once():
    reader, fence = Followed(), Fence("log", 7)
    follower = SignalSync(Signal.AGGREGATES, reader, 2, lambda _: iter(()), clock=lambda: 0.0)
    await follower.refresh()
    follower.read_anew(1)
    reader.asked.clear()
    await follower.refresh()
    await follower.refresh()
    assert reader.asked == [(0, fence), (1, None), (0, fence), (1, fence)]


async def test_a_partition_that_could_not_be_read_anew_is_asked_for_again():
    reader = Followed()
    follower = SignalSync(Signal.AGGREGATES, reader, 2, lambda _: iter(()), clock=lambda: 0.0)
    await follower.refresh()
    follower.read_anew(1)
    reader.away = True
    await follower.refresh()
    reader.away = False
    reader.asked.clear()
    await follower.refresh()
    assert (1, None) in reader.asked
