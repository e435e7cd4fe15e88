from __future__ import annotations

import asyncio
import itertools

from serving.service.turnstile import LONG_LIST, Turnstile


async def test_costly_requests_pass_one_by_one_and_others_have_their_turn_between_two():
    turnstile, order = Turnstile(), []

    async def costly(number):
        await turnstile.wait()
        order.append(number)

    async def other():
        while True:
            order.append("other")
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await asyncio.gather(*(costly(number) for number in range(5)))
    task.cancel()
    passed = [index for index, what in enumerate(order) if what != "other"]
    assert [order[index] for index in passed] == [0, 1, 2, 3, 4]
    assert all(after - before > 1 for before, after in itertools.pairwise(passed))


async def test_long_lists_wait_for_their_turn_and_short_ones_do_not(shop, monkeypatch):
    waits, wait = [], Turnstile.wait

    async def counted(turnstile):
        waits.append(1)
        await wait(turnstile)

    monkeypatch.setattr(Turnstile, "wait", counted)
    async with shop.running() as service:
        await service.recommend(service.request(user_id="ann", count=20))
        assert not waits
        await service.recommend(service.request(user_id="ann", count=LONG_LIST))
        await service.item_list("popular", service.request(count=LONG_LIST))
        await service.explanations.because("ann", "item-3")
    assert len(waits) == 3
