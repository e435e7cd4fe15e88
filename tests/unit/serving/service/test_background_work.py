"""No unforeseen failure ends what a process does in the background, and readiness says what fails."""

import pytest

from schemas.background import failing


async def until(holds, seconds=5.0):
    import asyncio

    for _ in range(int(seconds / 0.01)):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not in time")


@pytest.mark.parametrize(
    ("broken", "name"),
    [
        ("_apply_items", "following items"),
        ("_apply_aggregates", "following aggregates"),
        ("_active", "following models"),
        ("_append", "recording answers"),
        ("_let_go", "upkeep of caches and gauges"),
    ],
)
async def test_a_task_that_fails_is_told_and_goes_on_once_it_can(shop, monkeypatch, broken, name):
    faulty = [False]

    def failing_at_times(function):
        def called(*args, **kwargs):
            if faulty[0]:
                raise RuntimeError("nobody foresaw this")
            return function(*args, **kwargs)

        return called

    shop.models.publish()
    async with shop.running(follow_seconds=0.01, refresh_seconds=0.01) as service:
        place = {
            "_apply_items": (service._items, "_apply_changes"),
            "_apply_aggregates": (service._aggregates, "_apply_changes"),
            "_active": (shop.models, "active"),
            "_append": (shop.log, "append"),
            "_let_go": (service._results, "let_go"),
        }[broken]
        monkeypatch.setattr(*place, failing_at_times(getattr(*place)))
        monkeypatch.setattr("serving.service.service._REPORT_SECONDS", 0.01)
        assert service.missing() == []
        faulty[0] = True
        await service.recommend(service.request(user_id="ann", count=1))
        await until(lambda: any(name in sentence for sentence in service.missing()))
        faulty[0] = False
        await service.recommend(service.request(user_id="ann", count=2))
        await until(lambda: service.missing() == [])
    assert failing() == []
