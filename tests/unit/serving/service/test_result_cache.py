"""Lists that were made a moment ago, given again while nothing that they were made from has moved."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from models.structures.lists import ScoredList
from schemas.answers import DecidedItem, Encoded, Reason, RecommendationRequest
from schemas.decision_codec import decode_decision
from schemas.errors import LogUnavailable
from serving.ranking import routes
from serving.ranking.pipeline import RankedList
from serving.service.preparation import PreparedRequest
from serving.service.response import Versions
from serving.service.result_cache import CachedResult, Limits, ResultCache, key_of
from serving.state.model_bundle import NO_BUNDLE
from serving.stores.user_state import UserState
from signals import user_codec
from signals.users import EMPTY

VERSIONS = Versions("1", "1", "config")


async def recommend(service, user_id, **fields):
    """An answer for a user, as the route asks for it."""
    return await service.recommend(service.request(user_id=user_id, **{"count": 10} | fields))


def a_key(user_id="ann", value=b"\x91\x05", versions=VERSIONS, **request):
    person = UserState(value, inputs={f"u:{user_id}": value} if value else {})
    request = RecommendationRequest(**({"now": 1.0, "user_id": user_id} | request))
    return key_of(PreparedRequest("recommendations", request, person, NO_BUNDLE), versions)


def a_set(*positions):
    ranked = RankedList([], np.array(positions, np.int32), {}, 0)
    return CachedResult(ranked, SimpleNamespace(items=Encoded()))


def results(world, seconds=2.0, limit=3, size=1_000_000):
    return ResultCache(world.catalogue, Limits(seconds, limit, size))


def test_a_list_is_given_again_until_it_is_too_old(world):
    kept = results(world)
    kept.keep(a_key(), a_set(1, 2), steady=10.0)
    assert kept.find(a_key(now=9.0), now=0.0, steady=11.9) is not None
    assert kept.find(a_key(), now=0.0, steady=12.0) is None


def test_lists_made_at_once_end_one_by_one_within_the_last_third_of_their_time(world):
    kept, people = results(world, limit=100), [f"p{n}" for n in range(90)]
    for person in people:
        kept.keep(a_key(person), a_set(1), steady=10.0)
    left = [
        sum(kept.find(a_key(each), 0.0, 10.0 + at) is not None for each in people) for at in (1.3, 1.5, 1.7, 1.9, 2)
    ]
    assert left == pytest.approx([90, 67, 40, 13, 0], abs=2)


@pytest.mark.parametrize(
    "other",
    [
        {"value": b"\x91\x06"},
        {"user_id": "bob"},
        {"versions": VERSIONS._replace(catalogue="2")},
        {"versions": VERSIONS._replace(config_id="another")},
        {"count": 5},
        {"filter": "price < 3"},
        {"categories": ("racing",)},
        {"include": ("item-1",)},
        {"exclude": ("item-1",)},
        {"diversity": 0.5},
        {"random_seed": 3},
        {"exploration_seed": 3},
        {"shown_hashes": b"abcd"},
        {"context": {"device": "phone"}},
        {"session_id": "s"},
        {"pins": {"item-1": 1}},
        {"attributes": {"country": "CH"}},
    ],
)
def test_whatever_changes_a_list_is_part_of_its_key(other):
    assert a_key(**other) != a_key()


def test_the_aggregates_change_only_the_keys_of_cold_start_users():
    moved = VERSIONS._replace(aggregates="2")
    assert a_key(versions=moved) == a_key()
    assert a_key(value=None, versions=moved) != a_key(value=None)


def test_no_more_lists_are_kept_than_the_bound_and_those_used_last_stay(world):
    kept = results(world, limit=3)
    for user in ("a", "b", "c"):
        kept.keep(a_key(user), a_set(1), steady=0.0)
    kept.find(a_key("a"), now=0.0, steady=0.0)
    kept.keep(a_key("d"), a_set(1), steady=0.0)
    assert len(kept) == 3
    assert [kept.find(a_key(user), 0.0, 0.0) is not None for user in "abcd"] == [True, False, True, True]


def test_all_lists_together_stay_within_the_bytes_and_a_longer_list_counts_more(world):
    kept = results(world, limit=10_000, size=400_000)
    short, long = (
        RankedList(
            [DecidedItem(f"item-{n}", 1.0, [Reason("popular", 1.0)]) for n in range(count)], np.empty(0, int), {}, 0
        )
        for count in (5, 300)
    )
    for number in range(100):
        kept.keep(a_key(f"p{number}"), CachedResult(short, SimpleNamespace(items=Encoded(short.items))), steady=0.0)
    assert 20 < len(kept) < 40
    assert kept.size <= 400_000
    kept.keep(a_key("long"), CachedResult(long, SimpleNamespace(items=Encoded(long.items))), steady=0.0)
    assert 1 < len(kept) < 20
    assert kept.size <= 400_000
    assert kept.find(a_key("long"), now=0.0, steady=0.0) is not None


def test_lists_that_are_too_old_are_let_go_without_a_request(world):
    kept = results(world, limit=100)
    for person in ("ann", "bob"):
        kept.keep(a_key(person), a_set(1), steady=10.0)
    kept.let_go(steady=11.0)
    assert len(kept) == 2
    kept.let_go(steady=12.0)
    assert (len(kept), kept.size) == (0, 0)


@pytest.mark.parametrize("bounds", [{"seconds": 0.0}, {"limit": 0}, {"size": 0}])
def test_without_room_or_time_nothing_is_kept(world, bounds):
    kept = results(world, **bounds)
    kept.keep(a_key(), a_set(1), steady=0.0)
    assert len(kept) == 0


def test_a_list_with_an_item_that_is_hidden_now_is_not_given_again(world, describe):
    kept = results(world)
    kept.keep(a_key(), a_set(1, 2), steady=0.0)
    world.catalogue.put(describe(2, hidden=True))
    assert kept.find(a_key(), now=0.0, steady=0.0) is None


def test_a_list_is_not_given_again_once_an_item_of_it_has_left_its_window(world, describe):
    world.catalogue.put(describe(2, available_until=datetime(2026, 1, 1, tzinfo=UTC)))
    closes = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    kept = results(world)
    kept.keep(a_key(), a_set(1, 2), steady=0.0)
    assert kept.find(a_key(), now=closes - 1.0, steady=0.0) is not None
    assert kept.find(a_key(), now=closes, steady=0.0) is None


def test_the_head_of_a_packed_value_tells_its_offset_and_links(say, remember):
    value = remember(say("view", 3), say("identify", anonymous_id="guest"), say("like", 4))
    head = user_codec.head(user_codec.encode(value))
    assert (head.offset, head.links) == (value.offset, value.links)
    assert head.links == ("guest",)
    assert user_codec.head(user_codec.encode(EMPTY)).offset == -1


@pytest.fixture
def ranked(monkeypatch):
    """The times at which lists were ranked."""
    made, recommend = [], routes.recommend

    def counted(request, *rest):
        made.append(request.now)
        return recommend(request, *rest)

    monkeypatch.setattr(routes, "recommend", counted)
    return made


def items_of(answer):
    return msgspec.json.encode(answer.items)


async def test_an_answer_given_again_equals_one_made_anew_but_for_its_id_and_time(shop, say, ranked):
    shop.models.publish(lists={"ann": ScoredList(("item-4",), (1.0,))})
    shop.know("ann", say("view", 3), say("like", 7))
    async with shop.running() as online:
        first = await recommend(online, "ann")
        shop.now += 1.0
        second = await recommend(online, "ann")
    async with shop.running(cache_seconds=0) as online:
        anew = await recommend(online, "ann")
    assert len(ranked) == 2
    assert items_of(second) == items_of(anew)
    assert (second.signals_offset, second.next_cursor) == (anew.signals_offset, anew.next_cursor)
    assert second.recommendation_id != first.recommendation_id
    assert (second.generated_at - first.generated_at).total_seconds() == 1.0


async def test_an_event_between_two_requests_changes_the_answer_at_once(shop, say):
    shop.models.publish()
    shop.know("ann", say("view", 3))
    async with shop.running() as online:
        before = await recommend(online, "ann")
        token = shop.know("ann", say("view", 3), say("like", 8))
        after = await recommend(online, "ann")
    assert after.signals_offset == str(token)
    assert items_of(after) != items_of(before)


async def test_an_event_of_a_linked_anonymous_user_changes_the_answer_at_once(shop, say, remember, ranked):
    shop.know("ann", say("identify", anonymous_id="guest"))
    async with shop.running() as online:
        await recommend(online, "ann")
        value = remember(say("like", 8, user_id=None, anonymous_id="guest"))
        shop.signals.put("users", "a:guest", user_codec.encode(value), "guest")
        await recommend(online, "ann")
    assert len(ranked) == 2


async def test_a_hidden_item_vanishes_at_once(shop, say, describe):
    shop.models.publish()
    shop.know("ann", say("like", 7))
    async with shop.running(follow_seconds=0.01) as online:
        first = (await recommend(online, "ann")).items[0].item_id
        shop.say(describe(int(first.removeprefix("item-")), hidden=True), offset=1)
        await asyncio.sleep(0.1)
        left = [item.item_id for item in (await recommend(online, "ann")).items]
    assert first not in left


async def test_an_answer_that_had_to_do_without_something_is_never_given_again(shop, say, ranked):
    shop.know("ann", say("like", 7))
    async with shop.running() as online:
        shop.signals.mode = "raise"
        assert (await recommend(online, "ann")).degraded == ["signals"]
        assert (await recommend(online, "ann")).degraded == ["signals"]
    assert len(ranked) == 2


async def test_each_answer_has_its_own_record_with_the_moment_at_which_its_list_was_made(shop, say):
    shop.know("ann", say("like", 7))
    async with shop.running() as online:
        first = await recommend(online, "ann")
        shop.now += 1.0
        second = await recommend(online, "ann")
    records = [decode_decision(entry.value) for _, entry in shop.log.entries]
    assert [each.recommendation_id for each in records] == [first.recommendation_id, second.recommendation_id]
    assert [each.generated_at for each in records] == [first.generated_at, second.generated_at]
    assert [each.request.now for each in records] == [shop.now - 1.0] * 2


async def test_a_list_given_again_is_recorded_by_what_was_shown_and_names_the_record_of_the_rest(shop, say):
    shop.know("ann", say("like", 7))
    async with shop.running() as online:
        first = await recommend(online, "ann")
        await online._decisions.flush()
        second = await recommend(online, "ann")
    whole, brief = [decode_decision(entry.value) for _, entry in shop.log.entries]
    assert brief.same_as == first.recommendation_id
    assert [(each.item_id, each.score) for each in brief.items] == [(each.item_id, each.score) for each in second.items]
    assert (brief.inputs, brief.sources, [each.reasons for each in brief.items]) == ({}, {}, [[]] * len(second.items))
    completed = brief.completed(whole)
    assert completed.recommendation_id == second.recommendation_id
    assert (completed.items, completed.inputs, completed.sources) == (whole.items, whole.inputs, whole.sources)
    assert len({entry.key for _, entry in shop.log.entries}) == 1


@pytest.mark.parametrize(("limit", "error"), [(0, None), (10, LogUnavailable("away"))])
async def test_a_list_whose_first_record_is_not_on_the_log_is_recorded_whole_when_it_is_given_again(
    shop, say, limit, error
):
    shop.know("ann", say("like", 7))
    async with shop.running() as online:
        online._decisions._limit, shop.log.error = limit, error
        await recommend(online, "ann")
        await online._decisions.flush()
        online._decisions._limit, shop.log.error = 10, None
        await recommend(online, "ann")
    [record] = [decode_decision(entry.value) for _, entry in shop.log.entries]
    assert record.same_as is None
    assert record.inputs
    assert all(each.reasons for each in record.items)


async def test_repeats_of_an_item_list_are_recorded_under_the_key_of_its_first_record(shop):
    async with shop.running() as online:
        first = await online.item_list("popular", online.request())
        await online._decisions.flush()
        await online.item_list("popular", online.request())
    assert [entry.key.decode() for _, entry in shop.log.entries] == [first.recommendation_id] * 2


async def test_an_item_list_is_built_again_when_the_aggregates_have_changed(shop):
    async with shop.running() as online:
        first = await online.item_list("popular", online.request())
        online._aggregates.version = "moved"
        second = await online.item_list("popular", online.request())
    assert (first.aggregates_version, second.aggregates_version) != (first.aggregates_version,) * 2
