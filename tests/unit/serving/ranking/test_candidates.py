"""From events to a list: what each further source of candidates finds, and when it finds nothing."""

from dataclasses import fields

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.source_weights import CURVES, Revisits, SourceWeights
from schemas.answers import RecommendationRequest
from schemas.catalogue import Item
from serving import metrics
from serving.config import Settings
from serving.ranking.candidates.registry import candidate_sources
from serving.ranking.context import Signals
from serving.ranking.defaults import default_config
from serving.ranking.pipeline import build_context, recommend
from serving.service.timing import Timing
from serving.state.model_bundle import NO_BUNDLE, ModelBundle, with_source_weights
from serving.state.text_index import TextIndex

NOW = 1_795_428_000.0  # 2026-11-23T10:00Z, as in conftest
DAY = 86_400.0


def alone(source):
    """A configuration in which one source speaks."""
    return default_config(sources={source: 1.0})


def ids(ranked):
    return [item.item_id for item in ranked.items]


def told(ranked, source):
    """The items that a source speaks for, in their order, with the item that led there."""
    return {item.item_id: reason.item_id for item in ranked.items for reason in item.reasons if reason.source == source}


class TestTogether:
    def test_what_others_put_in_the_same_basket_follows_from_the_newest_items(self, world, remember, say):
        baskets = [
            say("cart", item, NOW - 900, user_id=f"u{n}", session_id=f"s{n}", event_id=f"{n}-{item}")
            for n in range(4)
            for item in (30, 31)
        ]
        world.happen(*baskets)
        ranked = world.ask(remember(say("view", 30)), user_id="ann")
        assert told(ranked, "bought_together") == {"item-31": "item-30"}

    def test_a_companion_of_more_baskets_comes_first(self, world, remember, say):
        world.config = alone("bought_together")
        for partition, other in enumerate((31, 32, 32)):
            world.happen(say("purchase", 30), say("purchase", other), partition=partition)
        assert ids(world.ask(remember(say("view", 30)), count=2)) == ["item-32", "item-31"]

    def test_nothing_follows_from_items_that_were_always_alone(self, world, remember, say):
        world.happen(say("purchase", 30, user_id="bob"))
        assert told(world.ask(remember(say("view", 30)), user_id="ann"), "bought_together") == {}


class TestSearch:
    def search_of(self, say, number, item, query="quiet evening"):
        who = {"user_id": f"u{number}"}
        return [say("search", None, NOW - 600, query=query, event_id=f"q{number}", **who), say("click", item, **who)]

    def test_a_search_finds_items_that_others_opened_though_no_text_matches(self, world, remember, say):
        world.config = alone("search")
        world.happen(*(event for n in range(6) for event in self.search_of(say, n, 44)))
        ranked = world.ask(remember(say("search", None, NOW - 20, query="Quiet evenings")), count=3)
        assert list(told(ranked, "search")) == ["item-44"]

    def test_of_what_matches_that_comes_first_which_others_went_to(self, world, remember, say, category):
        world.config = alone("search")
        world.happen(*(event for n in range(6) for event in self.search_of(say, n, 43, "racing")))
        ranked = world.ask(remember(say("search", None, NOW - 20, query="Racing")), count=5)
        assert ids(ranked)[0] == "item-43"
        assert {category(each) for each in ids(ranked)} == {"racing"}

    def test_one_visit_does_not_outweigh_what_matches(self, world, remember, say, category):
        world.config = alone("search")
        world.happen(*self.search_of(say, 0, 44, "racing"))
        first = ids(world.ask(remember(say("search", None, NOW - 20, query="Racing")), count=3))
        assert {category(each) for each in first} == {"racing"}


class TestTrendingHere:
    @pytest.fixture
    def abroad(self, world, say):
        world.config = alone("trending_in_context")
        world.happen(
            *(say("click", 1, user_id=f"a{n}", context={"country": "DE"}) for n in range(5)),
            *(say("click", 2, user_id=f"b{n}", context={"country": "FR", "device": "tv"}) for n in range(9)),
        )
        return world

    @pytest.mark.parametrize(("context", "first"), [({"country": "DE"}, "item-1"), ({"device": "tv"}, "item-2")])
    def test_what_trends_in_the_country_or_on_the_device_comes_first(self, abroad, context, first):
        at_night = abroad.ask(now=NOW + 12 * 3_600, context=context)
        assert list(told(at_night, "trending_in_context")) == [first]

    def test_of_what_trends_there_the_hour_decides(self, abroad, say):
        evening = NOW - 14 * 3_600
        abroad.happen(
            *(say("click", 3, evening + n, user_id=f"c{n}", context={"country": "US"}) for n in range(3)),
            *(say("click", 4, NOW - 90, user_id=f"d{n}", context={"country": "US"}) for n in range(3)),
            partition=1,
        )
        context = {"country": "US"}
        by_hour = [
            list(told(abroad.ask(now=at, context=context), "trending_in_context"))
            for at in (NOW - 3_600, evening + DAY)
        ]
        assert by_hour[0].index("item-4") < by_hour[0].index("item-3")
        assert by_hour[1].index("item-3") < by_hour[1].index("item-4")

    @pytest.mark.parametrize("context", [{}, {"page": "home"}, {"country": "nowhere"}])
    def test_a_request_from_nowhere_known_gets_nothing(self, abroad, context):
        at_night = abroad.ask(now=NOW + 12 * 3_600, context=context)
        assert told(at_night, "trending_in_context") == {}


class TestText:
    def test_an_item_that_nobody_has_touched_is_found_by_its_text(self, trained, describe, remember, say):
        trained.config = alone("content")
        trained.catalogue.put(describe(30, title="Dungeons of rust"))
        trained.catalogue.put(Item(item_id="fresh", title="Rust and dungeons"))
        ranked = trained.ask(remember(say("view", 30)), user_id="ann", count=3)
        assert ids(ranked)[0] == "fresh"
        assert told(ranked, "content")["fresh"] == "item-30"

    @pytest.mark.parametrize(("newer", "found"), [(3, True), (4, False)])
    def test_only_the_newest_items_are_looked_at(self, world, describe, remember, say, newer, found):
        world.config = alone("content")
        for number in (1, 50):
            world.catalogue.put(describe(number, title="Rust", categories=()))
        views = [say("view", 1, NOW - 900), *(say("view", n, NOW - 600 + n) for n in range(2, 2 + newer))]
        assert ("item-50" in told(world.ask(remember(*views), count=60), "content")) == found

    def test_items_without_a_text_produce_no_candidates(self, world, remember, say):
        world.config = alone("content")
        world.catalogue.ensure("item-99")
        assert told(world.ask(remember(say("view", 99))), "content") == {}

    words = st.lists(st.sampled_from(["rust", "dungeon", "quiet", "night"]), max_size=4).map(" ".join)

    @settings(max_examples=40, deadline=None)
    @given(steps=st.lists(st.tuples(st.integers(0, 4), st.none() | words), max_size=12))
    def test_cached_similar_texts_equal_a_new_search(self, steps):
        def index():
            return TextIndex(lambda: np.arange(5, dtype=np.uint32))

        def likes(of):
            return [[each.tolist() for each in of.alike(at, 3)] for at in range(5)]

        lived = index()
        titles: dict[int, str] = {}
        for at, title in steps:
            likes(lived)
            if title is None:
                lived.remove(at)
                titles.pop(at, None)
            else:
                lived.put(at, Item(item_id=str(at), title=title))
                titles[at] = title
        anew = index()
        for at, title in titles.items():
            anew.put(at, Item(item_id=str(at), title=title))
        for (items, scores), (others, wanted) in zip(likes(lived), likes(anew), strict=True):
            assert items == others
            assert scores == pytest.approx(wanted, rel=1e-5)


class TestExposure:
    def shown(self, say, item, clicks, people=80):
        for n in range(people):
            who = {"user_id": f"{item}-{n}", "position": 0}
            yield say("impression", item, NOW - 600, event_id=f"s{item}-{n}", **who)
            if n < clicks:
                yield say("click", item, NOW - 500, event_id=f"c{item}-{n}", recommendation_id="r", **who)

    @pytest.fixture
    def likes(self, remember, say):
        return remember(say("like", 1), say("like", 2))

    def test_an_item_that_is_seldom_clicked_where_it_is_shown_moves_down_within_bounds(self, trained, likes, say):
        trained.config = alone("similar")
        plain = {item.item_id: item for item in trained.ask(likes, user_id="ann", count=50).items}
        trained.happen(*self.shown(say, 7, 40), *self.shown(say, 8, 0))
        moved = {item.item_id: item for item in trained.ask(likes, user_id="ann", count=50).items}
        assert moved["item-7"].score == pytest.approx(1.25 * plain["item-7"].score, rel=1e-4)
        assert moved["item-8"].score == pytest.approx(0.8 * plain["item-8"].score, rel=1e-4)
        assert moved["item-13"].score == pytest.approx(plain["item-13"].score, rel=1e-4)
        assert moved["item-7"].reasons == plain["item-7"].reasons

    @pytest.mark.parametrize("how", ["few impressions", "switched off"])
    def test_few_impressions_move_nothing_nor_any_where_it_is_switched_off(self, trained, likes, say, how):
        off = how == "switched off"
        trained.config = default_config(sources={"similar": 1.0}, click_through=0.0 if off else 0.25)
        plain = trained.ask(likes, user_id="ann", count=50)
        trained.happen(*self.shown(say, 8, 0, people=80 if off else 15))
        assert trained.ask(likes, user_id="ann", count=50).items == plain.items


def test_a_category_that_is_seldom_among_the_most_popular_has_its_own_most_popular(world, describe, say, monkeypatch):
    monkeypatch.setattr("serving.state.aggregates.TOP", 5)
    world.config = alone("popular")
    world.happen(*(say("like", n, NOW - 60, user_id=f"{n}-{k}") for n in range(12) for k in range(12 - n)))
    ranked = world.ask(user_id="stranger", categories=("story",), count=3)
    assert list(told(ranked, "popular"))[:2] == ["item-5", "item-11"]


def test_one_list_in_sixteen_is_timed_by_source(trained, remember, say):
    ticks = iter(range(10_000))
    timing = Timing(lambda: float(next(ticks)))

    def figure(kind):
        found = {sample.name: sample for sample in metrics.CANDIDATES_SECONDS.labels("similar")._child_samples()}
        return found[kind].value

    counted, seconds = figure("_count"), figure("_sum")
    candidates = metrics.CANDIDATES.labels("similar")._value.get()
    signals = Signals(remember(say("like", 1)), trained.aggregates)
    made = [
        recommend(
            RecommendationRequest(now=NOW), signals, trained.models, trained.catalogue, trained.config, timing.next()
        )
        for _ in range(20)
    ]
    assert (figure("_count") - counted, figure("_sum") - seconds) == (2, 2.0)
    assert metrics.CANDIDATES.labels("similar")._value.get() - candidates == 2 * made[0].sources["similar"].candidates
    assert all(each == made[0].items for each in (one.items for one in made))


def test_a_source_that_learning_never_met_keeps_its_configured_weight(trained, remember, say):
    learned = SourceWeights(("popular",), np.array([], np.int32), np.zeros((1, 1, CURVES)))
    trained.models = with_source_weights(trained.models, learned)
    ranked = trained.ask(remember(say("view", 30)), user_id="ann")
    assert told(ranked, "content")
    assert not told(ranked, "popular")


@pytest.mark.parametrize("interactions", [0, 1, 3, 8])
def test_where_nothing_was_learned_of_any_source_the_list_is_as_configured(trained, remember, say, interactions):
    value = remember(*(say("view", 30 + number) for number in range(interactions)))
    configured = trained.ask(value, user_id="ann").items
    trained.models = with_source_weights(trained.models, SourceWeights.unlearned(Revisits.NONE))
    assert trained.ask(value, user_id="ann").items == configured != []


def test_every_source_is_configured():
    assert set(default_config().sources) == set(candidate_sources())


@pytest.mark.parametrize(
    ("ranking", "message"),
    [
        ({"sources": {"next": 0.3}}, "the source 'next' is called 'covisitation' now"),
        ({"sources": {"trending_week": 0.3}}, "there is no source 'trending_week'; did you mean 'trending_day'?"),
        ({"sources": {"qqq": 1.0}}, "there is no source 'qqq'$"),
        ({"aversion": 0.1}, "'aversion' is called 'dislike_share' now"),
        ({"explor": 0.1}, "there is no 'explor'; did you mean 'explore'?"),
    ],
)
def test_an_unknown_name_in_the_ranking_configuration_is_refused_with_the_nearest_one(ranking, message):
    with pytest.raises(msgspec.ValidationError, match=message.replace("?", r"\?")):
        Settings(ranking=ranking).ranking_config()


def test_a_known_source_in_the_ranking_configuration_changes_its_weight_alone():
    changed = Settings(ranking={"sources": {"popular": 0.0}}).ranking_config()
    assert changed.sources == default_config().sources | {"popular": 0.0}


class TestSessionsThatGoBack:
    def learned(self, revisits):
        weights = np.zeros((1, 1, CURVES), np.float32)
        weights[0, 0, 0] = 1.0
        return SourceWeights(("revisits",), np.array([], np.int32), weights, revisits)

    def shown(self, trained, value, revisits, **request):
        trained.models = with_source_weights(trained.models, self.learned(revisits))
        return [item.item_id for item in trained.ask(value, count=30, **request).items]

    def test_where_users_go_back_items_of_the_session_come_again_newest_first(self, trained, remember, say):
        value = remember(say("view", 1), say("view", 2))
        shown = self.shown(trained, value, Revisits.ALL)
        assert [item for item in shown if item in {"item-1", "item-2"}] == ["item-2", "item-1"]

    def test_where_they_go_back_to_earlier_ones_alone_what_the_session_is_at_does_not_come_again(
        self, trained, remember, say
    ):
        value = remember(say("view", 1), say("view", 2))
        shown = self.shown(trained, value, Revisits.EARLIER)
        assert [item for item in shown if item in {"item-1", "item-2"}] == ["item-1"]

    def test_elsewhere_and_to_somebody_known_nothing_comes_again(self, trained, remember, say):
        value = remember(say("view", 1), say("view", 2))
        assert not {"item-1", "item-2"} & set(self.shown(trained, value, Revisits.NONE))
        assert not {"item-1", "item-2"} & set(self.shown(trained, value, Revisits.ALL, user_id="ann"))

    def test_what_is_excluded_does_not_come_again(self, trained, remember, say):
        value = remember(say("view", 1), say("view", 2))
        shown = self.shown(trained, value, Revisits.ALL, exclude=frozenset({"item-2"}))
        assert "item-1" in shown
        assert "item-2" not in shown


@pytest.mark.parametrize("source", candidate_sources().values(), ids=lambda source: source.name)
def test_a_source_that_needs_a_model_has_no_candidates_before_the_first_training(world, remember, say, source):
    signals = Signals(remember(say("like", 3), say("view", 4)), world.aggregates)
    request = RecommendationRequest(now=NOW, user_id="ann")
    context = build_context(request, signals, NO_BUNDLE, world.catalogue, world.config)
    assert set(source.needs) <= {field.name for field in fields(ModelBundle)}
    assert not source.needs or source.generate(context).items.size == 0
