"""What everybody does beside counts: clicks over impressions, contexts, what goes together, what searches lead to."""

import numpy as np
import pytest

from schemas.answers import RecommendationRequest
from serving.ranking.blend import configured_weights
from serving.ranking.defaults import default_config
from serving.ranking.eligibility import eligible_positions, hide_seen
from serving.state.context_counts import LABELS, SLACK, ContextCounts
from signals import users
from signals.bloom import holds
from signals.decay import value_at
from signals.kinds.context import HALF_LIFE as HALF_LIFE_OF_CONTEXTS
from signals.kinds.exposure import HALF_LIFE
from signals.users import EMPTY

NOW = 1_795_428_000.0


def ids(world, positions):
    return [world.catalogue.ids[at] for at in positions.tolist()]


def allowed(request, value, catalogue, config):
    may = eligible_positions(request, catalogue)
    hide_seen(may, request, value, catalogue, config)
    return may


def visits(say, place, shown, clicks, item):
    """People who are shown an item at a place, of whom some click."""
    for n in range(shown):
        who = {"user_id": f"{item}-{place}-{n}", "position": place}
        yield say("impression", item, event_id=f"s{item}-{place}-{n}", **who)
        if n < clicks:
            yield say("click", item, event_id=f"c{item}-{place}-{n}", recommendation_id="r", **who)


class TestExposure:
    def test_nothing_known_is_the_same_for_every_item(self, world):
        rates = world.aggregates.exposure.relative(np.arange(4, dtype=np.int32), NOW)
        assert len(set(rates.tolist())) == 1

    def test_an_item_that_is_clicked_more_where_it_stands_is_rated_higher(self, world, say):
        world.happen(*visits(say, 0, 60, 20, 1), *visits(say, 0, 60, 5, 2))
        first, second, other = world.aggregates.exposure.relative(
            np.array([world.catalogue.position(f"item-{n}") for n in (1, 2, 3)], np.int32), NOW
        )
        assert first > other > second

    def test_a_rank_that_nobody_examines_does_not_lower_an_item(self, world, say):
        world.happen(*visits(say, 0, 100, 40, 1), *visits(say, 7, 100, 4, 2), *visits(say, 0, 100, 4, 3))
        exposure = world.aggregates.exposure
        examined = exposure.examination(NOW)
        assert examined[0] == 1.0
        assert examined[5] < 0.5
        low, high = exposure.relative(np.array([world.catalogue.position(f"item-{n}") for n in (3, 2)], np.int32), NOW)
        assert high > 1.5 * low

    def test_what_is_old_says_less(self, world, say):
        world.happen(*visits(say, 0, 60, 40, 1), *visits(say, 0, 60, 4, 2))
        items = np.array([world.catalogue.position("item-1")], np.int32)
        rates = [
            float(world.aggregates.exposure.relative(items, NOW + age)[0]) for age in (0, HALF_LIFE, 4 * HALF_LIFE)
        ]
        assert rates == sorted(rates, reverse=True)

    def test_items_beyond_what_was_ever_shown_are_average(self, world, say):
        world.happen(*visits(say, 0, 30, 10, 1))
        far, unseen = world.aggregates.exposure.relative(np.array([10**6, 5], np.int32), NOW)
        assert far == unseen


def test_a_short_list_is_the_beginning_of_a_long_one_however_far_clicks_move_items(world, say):
    for n in range(1, 13):
        world.happen(*visits(say, 0, 40, 3 * n % 17, n), *(say("view", n, user_id=f"v{n}-{m}") for m in range(12 - n)))
    world.train()
    long = world.ask(count=12).items
    assert [item.item_id for item in long] != [f"item-{n}" for n in range(1, 13)]
    for count in range(1, 12):
        assert world.ask(count=count).items == long[:count]


class TestContexts:
    def test_what_trends_in_a_country_or_on_a_device_comes_first_there(self, world, say):
        german, french = {"country": "DE", "device": "phone"}, {"country": "FR"}
        world.happen(
            *(say("click", 1, user_id=f"a{n}", context=german) for n in range(5)),
            *(say("click", 2, user_id=f"b{n}", context=german) for n in range(3)),
            *(say("click", 3, user_id=f"c{n}", context=french) for n in range(9)),
        )
        contexts = world.aggregates.contexts
        assert ids(world, contexts.trending(["country:DE"])) == ["item-1", "item-2"]
        assert ids(world, contexts.trending(["country:FR"])) == ["item-3"]
        assert ids(world, contexts.trending(["country:FR", "device:phone", "country:none"]))[0] in {"item-1", "item-3"}
        assert contexts.trending(["country:US"]).size == 0

    def test_more_events_move_the_order(self, world, say):
        german = {"country": "DE"}
        world.happen(say("click", 1, context=german), say("click", 1, user_id="bob", context=german))
        world.happen(say("click", 2, context=german), partition=1)
        assert ids(world, world.aggregates.contexts.trending(["country:DE"])) == ["item-1", "item-2"]
        world.happen(*(say("like", 2, user_id=f"u{n}", context=german) for n in range(3)), partition=2)
        assert ids(world, world.aggregates.contexts.trending(["country:DE"])) == ["item-2", "item-1"]

    def test_a_flood_of_invented_countries_neither_fills_the_table_nor_hides_a_real_one(self, world, say):
        contexts = world.aggregates.contexts
        world.happen(*(say("click", 1, user_id=f"a{n}", context={"country": "DE"}) for n in range(9)))
        for number in range(3_000):
            contexts.put(10 + number % 50, {f"country:x{number}": NOW / HALF_LIFE_OF_CONTEXTS})
        assert len(contexts) <= LABELS + SLACK
        assert ids(world, contexts.trending(["country:DE"])) == ["item-1"]
        contexts.put(7, {"country:SE": NOW / HALF_LIFE_OF_CONTEXTS + 3})
        assert ids(world, contexts.trending(["country:SE"])) == ["item-7"]

    def test_labels_that_were_used_long_ago_go_first(self, world):
        contexts = ContextCounts(world.catalogue)
        for number in range(LABELS + SLACK + 1):
            contexts.put(number % 50, {f"country:{number}": float(number)})
        assert len(contexts) == LABELS
        assert contexts.trending(["country:0"]).size == 0
        assert contexts.trending([f"country:{LABELS + SLACK}"]).size == 1

    def test_a_partition_that_began_anew_takes_its_contexts_back(self, world, say):
        world.happen(say("click", 1, context={"country": "DE"}))
        world.merge(0, {}, whole=True)
        assert world.aggregates.contexts.trending(["country:DE"]).size == 0


def test_what_is_bought_together_is_merged_over_partitions(world, say):
    for partition in range(2):
        world.happen(say("cart", 1), say("purchase", 2), partition=partition)
    world.happen(say("cart", 1), say("purchase", 3), partition=2)
    found = world.aggregates.companions(world.catalogue.position("item-1"))
    worth = dict(zip(ids(world, found.items), (value_at(v, 60 * 86_400.0, NOW) for v in found.visits), strict=True))
    assert worth["item-2"] == pytest.approx(2 * worth["item-3"])
    assert world.aggregates.companions(world.catalogue.position("item-9")) is None


def test_the_items_opened_after_a_search_word_are_merged_over_partitions(world, say):
    for partition in range(2):
        search = say("search", None, query="Red Shoes", event_id="q")
        world.happen(search, say("click", 4), partition=partition)
    found = world.aggregates.sought("shoe")
    assert ids(world, found.items) == ["item-4"]
    assert world.aggregates.sought("never").items.size == 0
    again = say("search", None, query="shoe", event_id="q2", user_id="bob")
    world.happen(again, say("click", 5, user_id="bob"), partition=3)
    assert set(ids(world, world.aggregates.sought("shoe").items)) == {"item-4", "item-5"}


def test_items_seen_long_ago_are_hidden_like_items_seen_just_now(world, say):
    value = EMPTY
    for n in range(users.SEEN + 30):
        value = users.fold(value, say("view", n if n < 30 else n + 1_000), n)
    assert "item-0" not in value.seen
    may = allowed(RecommendationRequest(now=NOW), value, world.catalogue, default_config())
    named = np.array([item in value.seen or holds(value.past, item) for item in world.catalogue.ids])
    assert not may[:30].any()
    assert (may == ~named).all()
    assert allowed(RecommendationRequest(now=NOW), value, world.catalogue, default_config(hide_seen=False)).all()
    for_a_day = allowed(
        RecommendationRequest(now=NOW), value, world.catalogue, default_config(seen_for={"*": 86_400.0})
    )
    assert for_a_day[0]


def test_sources_for_everybody_weigh_less_with_each_interaction_and_nothing_for_a_known_user():
    config = default_config(known_events=4)
    weights = [configured_weights(config, interactions)["popular"].linear for interactions in (0, 1, 4, 100)]
    assert weights == [config.sources["popular"], 0.75 * config.sources["popular"], 0.0, 0.0]
    assert configured_weights(config, 100)["ease"] == configured_weights(config, 0)["ease"]


def test_every_user_is_known_if_no_interactions_are_required():
    assert configured_weights(default_config(known_events=0), 0)["popular"].linear == 0.0
