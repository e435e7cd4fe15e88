"""The service on stores that hang, fail, come back and change."""

import asyncio
from time import perf_counter

import msgspec
import pytest

from models.structures.lists import ScoredList
from schemas.decision_codec import decode_decision
from schemas.errors import LogBusy, StoreUnavailable
from schemas.http.cursors import shown_before
from schemas.http.problems import ProblemError
from schemas.keys import Signal
from schemas.log.topics import ANSWERS
from schemas.values import tails
from serving.http.parsing import session_events, token
from signals import aggregates, user_codec, users
from signals.compact import expand
from signals.counters import Transition


async def recommend(service, user_id, after=None, **fields):
    """An answer for a user, as the route asks for it."""
    request = service.request(user_id=user_id, **{"count": 10} | fields)
    return await service.recommend(request, token(after, service.partitions))


def ids(answer):
    return [item.item_id for item in answer.items]


async def until(holds, seconds=3.0):
    deadline = perf_counter() + seconds
    while not holds():
        assert perf_counter() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


async def test_an_unknown_user_in_an_empty_store_without_a_model_gets_an_answer(shop):
    shop.signals.values.clear()
    async with shop.running() as service:
        answer = await recommend(service, "nobody")
    assert (answer.items, answer.degraded, answer.model_version) == ([], [], None)


async def test_an_answer_names_all_that_it_was_made_from(shop, say):
    shop.models.publish(lists={"ann": ScoredList(("item-4",), (1.0,))})
    token = shop.know("ann", say("view", 3), say("like", 7))
    async with shop.running() as service:
        answer = await recommend(service, "ann")
    assert answer.signals_offset == str(token)
    assert answer.model_version == "v1"
    assert answer.config_id == service.config.config_id
    assert answer.catalogue_version.count(".") == 7
    assert not answer.degraded
    assert len(answer.items) == 10
    assert b'"title":"Game' in msgspec.json.encode(answer)


@pytest.mark.parametrize("mode", ["hang", "raise"])
async def test_dead_signals_still_give_a_full_list_within_the_deadline_and_say_so(shop, mode):
    shop.models.publish()
    async with shop.running() as service:
        shop.signals.mode = mode
        began = perf_counter()
        answer = await recommend(service, "ann")
        assert perf_counter() - began < 0.2
        assert answer.degraded == ["signals"]
        assert len(answer.items) == 10
        assert answer.signals_offset is None


@pytest.mark.parametrize("mode", ["hang", "raise"])
async def test_dead_lists_are_done_without(shop, say, mode):
    shop.models.publish(lists={"ann": ScoredList(("item-4",), (1.0,))})
    shop.know("ann", say("like", 7))
    async with shop.running() as service:
        shop.models.mode = mode
        answer = await recommend(service, "ann")
    assert answer.degraded == ["lists"]
    assert len(answer.items) == 10


async def test_a_source_that_keeps_failing_is_left_alone_until_it_recovers(shop):
    async with shop.running(breaker_failures=2, breaker_rest=0.1) as service:
        shop.signals.mode = "hang"
        for _ in range(2):
            await recommend(service, "ann")
        reads = shop.signals.reads
        assert (await recommend(service, "ann")).degraded == ["signals"]
        assert shop.signals.reads == reads
        shop.signals.mode = "ok"
        await asyncio.sleep(0.12)
        assert (await recommend(service, "ann")).degraded == []


async def test_a_start_without_any_store_still_answers(shop):
    shop.signals.mode = shop.models.mode = "raise"
    async with shop.running() as service:
        answer = await recommend(service, "ann")
        assert set(answer.degraded) == {"signals", "catalogue", "aggregates", "models"}
        assert any("catalogue" in each for each in service.missing())
        shop.signals.mode = "ok"
        await until(lambda: len(service.state.catalogue) == 60)


async def test_with_a_model_alone_popular_items_are_shown(shop):
    shop.models.publish()
    shop.signals.mode = "raise"
    async with shop.running() as service:
        answer = await recommend(service, "ann")
    assert ids(answer)[0] == "item-0"
    assert len(answer.items) == 10


async def test_a_fault_in_ranking_is_answered_with_the_popular_list(shop, monkeypatch):
    shop.models.publish()
    async with shop.running() as service:

        def broken(*_):
            raise ZeroDivisionError

        monkeypatch.setattr("serving.ranking.routes.recommend", broken)
        answer = await recommend(service, "ann")
    assert answer.degraded == ["ranking"]
    assert len(answer.items) == 10


async def test_after_waits_for_its_event(shop, say):
    shop.models.publish()
    token = shop.know("ann", say("view", 3))
    ahead = f"{token.partition}:{token.offset + 1}"
    async with shop.running() as service:

        async def like_soon():
            await asyncio.sleep(0.05)
            shop.know("ann", say("view", 3), say("like", 7))

        liking = asyncio.create_task(like_soon())
        answer = await recommend(service, "ann", after=ahead)
        await liking
    assert answer.signals_offset == ahead
    assert answer.degraded == []


async def test_after_gives_up_at_its_deadline_and_says_so(shop, say):
    token = shop.know("ann", say("view", 3))
    async with shop.running(after_seconds=0.05) as service:
        answer = await recommend(service, "ann", after=f"{token.partition}:99")
    assert answer.degraded == ["after"]
    assert answer.signals_offset == str(token)


@pytest.mark.parametrize("token", ["x", "1", "8:1", "99999999:1"])
async def test_a_token_that_cannot_be_is_a_problem_that_names_after(shop, token):
    async with shop.running() as service:
        with pytest.raises(ProblemError) as caught:
            await recommend(service, "ann", after=token)
    assert (caught.value.status, caught.value.field) == (400, "after")


async def test_an_anonymous_users_events_count_for_the_user_that_they_became(shop, say):
    shop.models.publish()
    guest = users.fold(users.EMPTY, say("like", 1, user_id=None, anonymous_id="g-1"), 5)
    shop.signals.put(Signal.USERS, "a:g-1", user_codec.encode(guest), "g-1", 5)
    token = shop.know("ann", say("view", 3), say("identify", None, anonymous_id="g-1"))
    async with shop.running() as service:
        linked = await recommend(service, "ann")
        named = await recommend(service, "eve", anonymous_id="g-1")
        as_guest = await recommend(service, "g-1")
    for answer in (linked, named, as_guest):
        assert "item-1" not in ids(answer)
        assert "item-1" in {reason.item_id for item in answer.items for reason in item.reasons}
    assert linked.signals_offset == str(token)
    assert named.signals_offset is None


async def test_a_value_in_parts_gives_the_answer_of_the_whole_one(shop, say):
    shop.models.publish()
    events = [say("like", 1), say("view", 3), say("identify", None, anonymous_id="g-1"), say("like", 5)]
    values, value = [], users.EMPTY
    for offset, event in enumerate(events):
        value = users.fold(value, event, offset)
        values.append(value)
    answers = []
    for base in (None, values[0], values[3]):
        data = user_codec.encode(value)
        if base is not None:
            stored = tails.BASE + user_codec.encode(base)
            tail = None if base == value else user_codec.encode_tail(value, user_codec.basis_of(base))
            data = tails.join(stored, tail)
        shop.signals.put(Signal.USERS, "u:ann", data, "ann", 3)
        async with shop.running() as service:
            answers.append(await recommend(service, "ann"))
    assert answers[0].degraded == []
    assert len({repr((ids(answer), [item.reasons for item in answer.items])) for answer in answers}) == 1
    assert len({answer.signals_offset for answer in answers}) == 1


async def test_each_read_that_fails_is_named(shop, say, monkeypatch):
    shop.models.publish()
    token = shop.know("ann", say("view", 3), say("identify", None, anonymous_id="g-1"))
    read = shop.signals.read

    async def fail_for_the_guest(partition, signal, keys):
        if list(keys) == ["a:g-1"]:
            raise StoreUnavailable("this partition is away")
        return await read(partition, signal, keys)

    monkeypatch.setattr(shop.signals, "read", fail_for_the_guest)
    async with shop.running(after_seconds=0.05) as service:
        answer = await recommend(service, "ann", after=f"{token.partition}:99")
    assert answer.degraded == ["after", "links"]


async def test_a_new_version_and_a_rollback_are_served_within_moments(shop):
    shop.models.publish("v1")
    async with shop.running() as service:
        assert service.state.models.version == "v1"
        shop.models.publish("v2")
        await until(lambda: service.state.models.version == "v2")
        shop.models.pointer = "v1"
        await until(lambda: service.state.models.version == "v1")


async def test_a_version_that_cannot_be_loaded_leaves_the_old_one(shop):
    shop.models.publish("v1")
    async with shop.running() as service:
        shop.models.publish("v2")
        shop.models.stored["v2"][1]["als"] = b"broken"
        await asyncio.sleep(0.1)
        assert service.state.models.version == "v1"
        assert len((await recommend(service, "ann")).items) == 10


async def test_lists_are_read_once_a_version(shop):
    shop.models.publish(lists={"ann": ScoredList(("item-4",), (1.0,))})
    async with shop.running() as service:
        for _ in range(3):
            await recommend(service, "ann")
            await recommend(service, "eve")
    assert shop.models.list_reads == 2


async def test_changes_of_the_catalogue_show_at_once(shop, describe):
    shop.models.publish()
    async with shop.running(follow_seconds=0.02) as service:
        assert "item-0" in ids(await service.item_list("popular", service.request()))
        shop.say(describe(0, hidden=True), offset=1)
        await asyncio.sleep(0.1)
        assert "item-0" not in ids(await service.item_list("popular", service.request()))


async def test_sessions_are_followed_within_a_refresh(shop, say):
    async with shop.running(refresh_seconds=0.02) as service:
        value = users.fold(users.EMPTY, say("like", 5), 3)
        seen = Transition(3, say("like", 5), users.entry_at(value, 3))
        cell = aggregates.fold({}, [seen])["tail:0"]
        shop.signals.put(Signal.AGGREGATES, "tail:0", aggregates.encode(cell), "ann", 3)
        sessions = service.state.aggregates.sessions.tail
        await until(lambda: len(sessions) == 1)
        assert sessions.holding(service.state.catalogue.position("item-5")).size == 1
        assert sessions.without(value.session.hash).holding(service.state.catalogue.position("item-5")).size == 0


async def test_aggregates_are_followed_and_name_their_version(shop, say):
    async with shop.running(refresh_seconds=0.02) as service:
        before = (await service.item_list("trending", service.request())).aggregates_version
        _count_a_like(shop, say)
        await asyncio.sleep(0.1)
        answer = await service.item_list("trending", service.request())
    assert ids(answer)[0] == "item-5"
    assert before != answer.aggregates_version
    assert "3" in answer.aggregates_version.split(".")


async def test_an_anonymous_user_without_a_log_is_served_from_the_events_of_the_request(shop):
    shop.models.publish()
    async with shop.running() as service:
        events = [{"type": "view", "item_id": "item-2"}, {"type": "like", "item_id": "item-1"}]
        answer = await service.recommend_for_session(service.request(count=5), session_events(events))
        with pytest.raises(ProblemError) as caught:
            await service.recommend_for_session(service.request(), session_events([events[0], {"type": "like"}]))
    assert not {"item-1", "item-2"} & set(ids(answer))
    assert "item-1" in {reason.item_id for item in answer.items for reason in item.reasons}
    assert (caught.value.index, caught.value.field) == (1, "events")


async def test_similar_items_are_alike_and_leave_out_what_the_user_saw(shop, say, category):
    shop.models.publish()
    shop.know("ann", say("view", 12))
    async with shop.running() as service:
        answer = await service.near_item("similar", service.request(item_id="item-0", count=5, user_id="ann"))
        with pytest.raises(ProblemError) as caught:
            await service.near_item("similar", service.request(item_id="no such item"))
    assert {category(each) for each in ids(answer)} == {"puzzle"}
    assert not {"item-0", "item-12"} & set(ids(answer))
    assert caught.value.status == 404


async def test_an_item_unknown_to_the_model_is_like_what_its_texts_share(shop, describe, category):
    shop.models.publish()
    shop.say(describe(66, title="A racing puzzle"), offset=1)
    async with shop.running() as service:
        answer = await service.near_item("similar", service.request(item_id="item-66", count=5))
    assert {category(each) for each in ids(answer)} <= {"puzzle", "racing"}
    assert answer.items[0].reasons[0].source == "content"


async def test_scores_rank_the_list_that_is_brought(shop, say):
    shop.models.publish()
    shop.know("ann", say("like", 1))
    async with shop.running() as service:
        found = await service.explanations.scores("ann", ["item-2", "item-7", "no such item"])
    scores = {each.item_id: each.score for each in found.scores}
    assert scores["item-7"] > scores["item-2"] > -1
    assert list(scores) == ["item-2", "item-7", "no such item"]


async def test_every_answer_is_recorded_with_what_it_was_made_of(shop, say):
    shop.know("ann", say("like", 1))
    async with shop.running() as service:
        answer = await recommend(service, "ann", random_seed=5)
    ((topic, entry),) = shop.log.entries
    decision = decode_decision(entry.value)
    assert (topic, entry.key) == (ANSWERS, b"ann")
    assert decision.recommendation_id == answer.recommendation_id
    assert (decision.request.now, decision.request.random_seed) == (shop.now, 5)
    assert expand(decision.inputs["u:ann"]).recent[0].item == "item-1"
    assert [item.item_id for item in decision.items] == ids(answer)
    assert decision.sources["similar"].outcome == "ok"


async def test_a_recorded_answer_can_be_made_again(shop, say):
    from schemas.answers import Decision
    from serving.ranking import pipeline
    from serving.ranking.context import Signals

    shop.models.publish()
    shop.know("ann", say("like", 1), say("search", None, query="sports"))
    async with shop.running() as service:
        await recommend(service, "ann", random_seed=5, count=7)
        await service.stop()
        decision: Decision = decode_decision(shop.log.entries[0][1].value)
        signals = Signals(expand(decision.inputs["u:ann"]), service.state.aggregates)
        again = pipeline.recommend(
            decision.request, signals, service.state.models, service.state.catalogue, service.config
        )
    assert [item.item_id for item in again.items] == [item.item_id for item in decision.items]
    assert [i.score for i in again.items] == pytest.approx([i.score for i in decision.items], abs=1e-6)


@pytest.mark.parametrize(("share", "least", "most"), [(1.0, 200, 200), (0.25, 25, 75), (0.0, 0, 0)])
async def test_a_share_of_the_answers_is_recorded_where_the_site_samples(shop, share, least, most):
    async with shop.running(decision_sample=share) as service:
        for number in range(200):
            await recommend(service, f"user-{number}", count=1)
    assert least <= len(shop.log.entries) <= most


async def test_a_log_that_refuses_records_does_not_fail_answers(shop):
    shop.log.error = LogBusy("full")
    async with shop.running(decision_queue=1) as service:
        for _ in range(3):
            assert len((await recommend(service, "ann")).items) == 10


async def test_a_new_shop_that_is_ready_without_a_model_stays_ready_when_its_first_event_comes(shop, say):
    async with shop.running() as service:
        assert service.missing() == []
        _count_a_like(shop, say)
        await until(lambda: not service.state.aggregates.empty)
        assert service.missing() == []


async def test_readiness_waits_until_this_process_has_read_what_the_signals_caught_up_with(shop, say):
    shop.models.publish()
    shop.awaited = "signals are 7 records behind the log"
    async with shop.running(refresh_seconds=0.02, follow_seconds=0.02) as service:
        assert service.missing() == [shop.awaited]
        _count_a_like(shop, say)
        shop.awaited = None
        assert any("since the signals caught up" in each for each in service.missing())
        await until(lambda: service.missing() == [])
        assert not service.state.aggregates.empty


async def test_readiness_says_what_is_missing(shop, say):
    _count_a_like(shop, say)
    async with shop.running() as service:
        assert service.missing() == ["no model is active; run 'freshet train'"]
        shop.models.publish()
        await until(lambda: service.missing() == [])
        shop.signals.mode = "raise"
        shop.now += 60
        assert any("catalogue" in each for each in service.missing())


def _count_a_like(shop, say):
    entry = users.entry_at(users.fold(users.EMPTY, say("like", 5), 3), 3)
    key = "pop:item-5"
    cell = aggregates.fold({}, [Transition(3, say("like", 5), entry)])[key]
    shop.signals.put(Signal.AGGREGATES, key, aggregates.encode(cell), "ann", 3)


async def test_paging_goes_on_without_repeats_while_the_user_acts(shop, say):
    shop.models.publish()
    shop.know("ann", say("view", 3))
    async with shop.running() as service:
        first = await recommend(service, "ann")
        shop.know("ann", say("view", 3), say("like", 7))
        second = await recommend(service, "ann", count=10, shown_hashes=shown_before(first.next_cursor))
    assert len({*ids(first), *ids(second)}) == 20
