"""One click through the embedded set: what was done changes the next answer."""

import asyncio
import time

from schemas.decision_codec import decode_decision
from schemas.log import topics


async def ask(client, user, **parameters):
    found = await client.get(f"/v1/users/{user}/recommendations", params=parameters)
    assert found.status_code == 200, found.text
    return found.json()


def ids(answer):
    return [item["item_id"] for item in answer["items"]]


async def until(holds, seconds=5.0):
    deadline = time.perf_counter() + seconds
    while not await holds():
        assert time.perf_counter() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


async def test_a_like_moves_other_items_up_that_name_it_and_leaves_an_idle_user_alone(client, embedded):
    before, idle = await ask(client, "user-1"), await ask(client, "user-2")
    assert before["model_version"] == "v1"
    token = embedded.event("like", "user-1", "game/21")
    waiting = asyncio.create_task(ask(client, "user-1", after=str(token)))
    await asyncio.sleep(0.02)
    embedded.fold()
    after = await waiting
    assert after["signals_offset"] == str(token)
    assert after["degraded"] == []
    moved = [
        item["item_id"]
        for place, item in enumerate(after["items"])
        if (item["item_id"] not in ids(before) or ids(before).index(item["item_id"]) > place)
        and "game/21" in {reason.get("item_id") for reason in item["reasons"]}
    ]
    assert moved
    assert {int(each.removeprefix("game/")) % 8 for each in moved} == {5}
    assert "game/21" not in ids(after)
    await asyncio.sleep(1.0)
    assert ids(await ask(client, "user-2")) == ids(idle)


async def test_items_and_trends_are_followed_within_a_second(client, embedded):
    embedded.put_item("game/new", title="Brand new", categories=["group 1"])
    for number in range(10):
        embedded.event("like", f"fan-{number}", "game/new")
    embedded.fold()
    began = time.perf_counter()

    async def shown():
        found = (await client.get("/v1/trending", params={"count": 1})).json()
        return found["items"][0]["item_id"] == "game/new" and found["items"][0]["item"]["title"] == "Brand new"

    await until(shown)
    assert time.perf_counter() - began < 1.5
    assert (await client.get("/v1/items/game%2Fnew")).json()["title"] == "Brand new"
    latest = (await client.get("/v1/latest", params={"count": 1})).json()
    assert ids(latest) == ["game/new"]


async def test_a_new_model_and_a_rollback_are_served(client, embedded):
    embedded.train("v2")

    async def serves(version):
        return (await ask(client, "user-1"))["model_version"] == version

    await until(lambda: serves("v2"), 2.0)
    embedded.models.activate("v1", "v2")
    await until(lambda: serves("v1"), 2.0)


async def test_answers_are_recorded_on_the_log(client, embedded):
    answer = await ask(client, "user-3")

    async def recorded():
        for partition in range(4):
            for record in embedded.reader.read(topics.ANSWERS, partition, 0, 100):
                if decode_decision(record.value).recommendation_id == answer["recommendation_id"]:
                    return True
        return False

    await until(recorded)


async def test_the_process_is_ready_on_the_real_files(client):
    ready = await client.get("/health/ready")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "missing": [], "warnings": []})
