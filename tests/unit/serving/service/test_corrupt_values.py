"""A stored value that cannot be read costs only itself: no 5xx, ``degraded`` says so, and it is read again once it is healed."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from models.structures.lists import ScoredList
from schemas.catalogue import encode_view
from schemas.errors import ValueCorrupt
from schemas.keys import Signal
from schemas.log.topics import partition_of
from serving.config import Settings
from serving.main import create_app
from serving.service.service import Stores
from serving.service.time_and_ids import TimeAndIds
from signals import aggregates, users
from signals.kinds import popularity

FOREIGN = st.one_of(
    st.binary(max_size=40),
    st.recursive(
        st.none() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=4) | st.binary(max_size=4),
        lambda inner: st.lists(inner, max_size=13) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=12,
    ).map(msgspec.msgpack.encode),
)
ROUTES = (
    "/v1/users/ann/recommendations",
    "/v1/users/ann",
    "/v1/users/ann/because?item_id=item-1",
    "/v1/users/ann/compatibility/item-1",
    "/v1/popular",
    "/v1/trending",
    "/v1/items/item-1/similar?user_id=ann",
    "/v1/items/item-1",
    "/health/ready",
    "/health/live",
)


def likes(shop, say) -> None:
    """Ann likes puzzles, and everybody else item 1."""
    shop.know("ann", *[say("like", number) for number in (0, 6, 12)])
    counters = popularity.fold(popularity.KIND.empty, [entry_of(say)])
    shop.signals.put(Signal.AGGREGATES, "pop:item-1", aggregates.encode(counters), "bob", 1)
    shop.signals.put(Signal.PROFILES, "ann", b'{"user_id": "ann"}', "ann")


def entry_of(say):
    return users.fold(users.EMPTY, say("like", 1), 0).recent[0]


def client_of(shop) -> TestClient:
    fake = shop.models
    models = SimpleNamespace(active=fake.active, manifest=fake.manifest, value=fake.value, close=lambda: None)
    stores = Stores(shop.signals, fake, models, shop.log)
    app = create_app(Settings(**shop.settings, cache_seconds=0.0), stores, TimeAndIds(clock=lambda: shop.now))
    return TestClient(app)


@given(data=st.data())
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_stored_can_make_a_5xx(new_shop, say, data):
    shop = new_shop()
    shop.stock()
    shop.models.publish(lists={"ann": ScoredList(("item-3",), (1.0,))})
    likes(shop, say)
    for place in data.draw(st.lists(st.sampled_from(sorted(shop.signals.values)), min_size=1, max_size=4)):
        values = shop.signals.values[place]
        key = data.draw(st.sampled_from(sorted(values)))
        cut = data.draw(st.booleans())
        values[key] = values[key][: data.draw(st.integers(0, len(values[key])))] if cut else data.draw(FOREIGN)
    if data.draw(st.booleans()):
        shop.models.lists["v1", "ann"] = data.draw(FOREIGN)
    with client_of(shop) as client:
        for route in ROUTES:
            response = client.get(route)
            assert response.status_code in (200, 404) or route == "/health/ready", (route, response.text)
        recommended = client.get(ROUTES[0]).json()
        assert recommended["items"]
        assert isinstance(json.dumps(recommended), str)


@pytest.mark.parametrize("wrong", [b"", b"\xc1", b"\x9c\x05", msgspec.msgpack.encode(["text"])])
async def test_a_corrupt_user_is_degraded_and_nobody_else(shop, say, wrong):
    shop.know("ann", say("like", 0))
    shop.know("bob", say("like", 0))
    async with shop.running(breaker_failures=2, cache_seconds=0.0) as service:
        right = await service.recommend(service.request(user_id="ann", count=5))
        assert right.degraded == []
        shop.signals.values[partition_of(b"ann"), Signal.USERS]["u:ann"] = wrong
        for _ in range(5):
            answer = await service.recommend(service.request(user_id="ann", count=5))
            assert (answer.degraded, len(answer.items)) == (["signals"], 5)
        assert (await service.recommend(service.request(user_id="bob", count=5))).degraded == []
        shop.know("ann", say("like", 0))
        assert (await service.recommend(service.request(user_id="ann", count=5))).degraded == []


async def test_a_corrupt_counter_or_item_leaves_the_earlier_one_and_is_read_again(shop, say):
    likes(shop, say)
    async with shop.running(cache_seconds=0.0, follow_seconds=0.01, refresh_seconds=0.01) as service:
        position = service.state.catalogue.position("item-1")
        for signal, key, owner, right in (
            (
                Signal.AGGREGATES,
                "pop:item-1",
                "bob",
                shop.signals.values[partition_of(b"bob"), "aggregates"]["pop:item-1"],
            ),
            (Signal.ITEMS, "item-1", "item-1", encode_view(service.state.catalogue.item(position))),
        ):
            shop.signals.put(signal, key, b"\xc1", owner, offset=10)
            await settled(lambda: service.state.unreadable_items or service.state.aggregates.unreadable)
            answer = await service.item_list("popular", service.request(count=3))
            assert answer.degraded == ["signals"]
            assert service.state.aggregates.count(service.state.catalogue.positions(["item-1"]))[0] > 0
            assert service.state.catalogue.item(position).title == "Game 1 of racing"
            # Healed at the same fence.
            shop.signals.values[partition_of(owner.encode()), signal][key] = right
            await settled(lambda: not (service.state.unreadable_items or service.state.aggregates.unreadable))
            assert (await service.item_list("popular", service.request(count=3))).degraded == []


async def test_a_partition_whose_fence_is_corrupt_holds_up_no_other(shop, say):
    shop.signals.corrupt.add((partition_of(b"item-1"), Signal.ITEMS))
    async with shop.running(follow_seconds=0.01) as service:
        here = {n for n in range(60) if partition_of(f"item-{n}".encode()) == partition_of(b"item-1")}
        assert len(service.state.catalogue) == 60 - len(here)
        assert "signals" in (await service.item_list("popular", service.request(count=3))).degraded
        shop.signals.corrupt.clear()
        await settled(lambda: len(service.state.catalogue) == 60)
        assert (await service.item_list("popular", service.request(count=3))).degraded == []


async def test_a_user_whose_partition_is_rebuilt_is_degraded_until_it_has_caught_up(shop, say):
    shop.know("ann", *[say("like", number) for number in range(9)])
    async with shop.running(cache_seconds=0.0) as service:
        request = service.request(user_id="ann", count=5)
        assert (await service.recommend(request)).degraded == []
        shop.know("ann", say("like", 0))
        assert (await service.recommend(request)).degraded == ["signals"]
        shop.know("ann", *[say("like", number) for number in range(9)])
        assert (await service.recommend(request)).degraded == []


async def test_a_corrupt_list_is_degraded_and_opens_no_breaker(shop):
    shop.models.publish(lists={"ann": ScoredList(("item-3",), (1.0,)), "bob": ScoredList(("item-3",), (1.0,))})
    shop.models.lists["v1", "ann"] = b"\xc1"
    async with shop.running(breaker_failures=2, cache_seconds=0.0) as service:
        for _ in range(5):
            assert (await service.recommend(service.request(user_id="ann", count=5))).degraded == ["lists"]
        assert (await service.recommend(service.request(user_id="bob", count=5))).degraded == []


async def test_a_start_while_the_model_store_is_dead_says_so_until_the_model_is_loaded(shop):
    shop.models.publish()
    shop.models.mode = "raise"
    async with shop.running(cache_seconds=0.0) as service:
        for answer in (
            await service.recommend(service.request(user_id="ann", count=5)),
            await service.item_list("popular", service.request(count=3)),
        ):
            assert answer.degraded == ["models"]
        shop.models.mode = "ok"
        await settled(lambda: service.state.models.version == "v1" and not service._missing_state.names())
        assert (await service.recommend(service.request(user_id="ann", count=5))).degraded == []


async def test_an_active_version_that_cannot_be_read_is_missing_and_an_earlier_one_goes_on(shop):
    shop.models.publish()
    shop.models.stored["v1"][1]["als"] = b"\xc1"
    async with shop.running(cache_seconds=0.0) as service:
        assert (await service.item_list("popular", service.request(count=3))).degraded == ["models"]
        shop.models.publish("v2")
        await settled(lambda: service.state.models.version == "v2")
        shop.models.mode = "raise"
        shop.models.publish("v3")
        shop.models.stored["v3"][1]["als"] = b"\xc1"
        shop.models.mode = "ok"
        await asyncio.sleep(0.1)
        assert (await service.item_list("popular", service.request(count=3))).degraded == []
        assert service.state.models.version == "v2"


async def test_without_anything_to_train_on_nothing_is_missing(shop):
    async with shop.running() as service:
        assert (await service.item_list("popular", service.request(count=3))).degraded == []


async def test_signals_that_were_last_read_long_ago_are_missing(shop):
    async with shop.running(follow_seconds=0.01, refresh_seconds=0.01) as service:
        shop.signals.mode = "raise"
        shop.now += 40
        assert (await service.item_list("popular", service.request(count=3))).degraded == ["catalogue", "aggregates"]
        shop.signals.mode = "ok"
        await settled(lambda: service._missing_state.names() == [])


async def settled(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - background tasks know no event
            await asyncio.sleep(0.01)


def test_a_read_that_is_corrupt_names_its_place():
    assert "partition 4" in str(ValueCorrupt(4, "users", (), "WRONGTYPE"))
