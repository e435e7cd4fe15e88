"""A person and an item, a person and other people."""

from dataclasses import replace

import pytest

from schemas.answers import Reason, RecommendationRequest
from serving.ranking import explanations, item_lists, scoring
from serving.ranking.context import Signals
from serving.ranking.pipeline import build_context
from serving.state import catalogue, model_bundle
from signals.users import EMPTY

NOW = 1_795_428_000.0  # 2026-11-23T10:00Z, as in conftest


def context_of(world, user=EMPTY, **request):
    return build_context(
        RecommendationRequest(now=NOW, **request),
        Signals(user, world.aggregates),
        world.models,
        world.catalogue,
        world.config,
    )


def test_what_led_to_an_item_is_what_is_like_it(trained, remember, say):
    value = remember(say("like", 1), say("view", 2), say("dislike", 7), say("view", 13))
    contributions = explanations.contributions(
        context_of(trained, value, user_id="ann"), trained.catalogue.position("item-19")
    )
    assert [each.item_id for each in contributions] == ["item-1", "item-13"]
    assert contributions[0].share > contributions[1].share
    assert sum(each.share for each in contributions) == pytest.approx(1, abs=0.05)


def test_without_factors_likeness_and_what_others_went_on_to_tell(trained, world, remember, say):
    trained.models = model_bundle.bind(replace(trained.models, als=None), trained.catalogue)
    crowd = [
        say("view", item, NOW - 900 + n, user_id=f"u{n}", event_id=f"{n}-{item}") for n in range(9) for item in (2, 19)
    ]
    trained.happen(*crowd)
    value = remember(say("like", 1), say("view", 2), say("view", 3))
    contributions = explanations.contributions(
        context_of(trained, value, user_id="ann"), trained.catalogue.position("item-19")
    )
    assert {each.item_id for each in contributions} == {"item-1", "item-2"}


def test_a_cold_start_user_has_no_contributions(trained):
    assert explanations.contributions(context_of(trained), 5) == []


def test_compatibility_has_score_percentile_and_reasons(trained, remember, say):
    context = context_of(trained, remember(say("like", 1)), user_id="ann")
    suits, suits_not = explanations.compatibility(context, 7), explanations.compatibility(context, 8)
    assert suits.score > suits_not.score
    assert suits.percentile > suits_not.percentile > 0
    assert {reason.item_id for reason in suits.reasons} >= {"item-1"}
    assert [each.item_id for each in suits.because] == ["item-1"]
    seen = explanations.compatibility(context, 1)
    assert seen.percentile > 0.8
    assert seen.reasons


def test_the_percentile_of_a_large_catalogue_is_that_of_a_sample(trained, monkeypatch, remember, say):
    context = context_of(trained, remember(say("like", 1)), user_id="ann")
    exact = [explanations.compatibility(context, position).percentile for position in range(60)]
    monkeypatch.setattr(catalogue, "SAMPLE", 30)
    trained.catalogue.ensure("one more")
    asked, scores = [], scoring.scores

    def counted(context, item_ids):
        asked.append(len(item_ids))
        return scores(context, item_ids)

    monkeypatch.setattr(scoring, "scores", counted)
    sampled = [explanations.compatibility(context, position).percentile for position in range(60)]
    assert max(asked) <= 31
    assert sampled == pytest.approx(exact, abs=0.3)
    assert sampled != exact


def test_a_small_catalogue_is_its_own_sample_and_hidden_items_are_no_part(world, describe):
    world.catalogue.put(describe(3, hidden=True))
    assert sorted(world.catalogue.sample(NOW).tolist()) == [n for n in range(60) if n != 3]
    assert world.catalogue.sample(NOW) is world.catalogue.sample(NOW + 1)


def test_similar_users_do_not_include_the_user(trained):
    from models.als import Als

    als = trained.models.als
    people = ("bob", "cat", "dan")
    factors = [[1, 0, 0, 0, 0, 0], [0.9, 0.1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]]
    trained.models = replace(trained.models, als=Als(people, als.item_ids, factors, als.item_factors, 0.1, 1.0))
    found = explanations.similar_users(context_of(trained, user_id="bob"), 2)
    assert [each.user_id for each in found] == ["cat", "dan"]
    assert found[0].score > 0.9 > found[1].score
    assert explanations.similar_users(context_of(trained, user_id="stranger"), 2) == []


def test_the_together_list_has_covisited_items_and_never_the_item_itself(world, say):
    crowd = [
        say("view", item, NOW - 900, user_id=f"u{n}", event_id=f"{n}-{item}") for n in range(9) for item in (2, 19)
    ]
    world.happen(*crowd, say("view", 2, NOW - 950, user_id="z"), say("view", 33, NOW - 900, user_id="z"))
    ranked = item_lists.covisited_with(context_of(world, count=2), 2)
    assert [(item.item_id, item.reasons[0].source) for item in ranked.items] == [
        ("item-19", "covisitation"),
        ("item-33", "covisitation"),
    ]
    assert ranked.items[0].reasons[0].item_id == "item-2"


def test_what_is_bought_together_is_what_was_put_in_the_same_basket(world, say):
    world.happen(say("cart", 2), say("purchase", 19), say("view", 33))
    ranked = item_lists.bought_with(context_of(world, count=2), 2)
    assert ranked.items[0].item_id == "item-19"
    assert ranked.items[0].reasons[0] == Reason("bought_together", 1.0, "item-2")
    assert ranked.sources["bought_together"].candidates == 1
