"""Thompson sampling: what is drawn, how often, and what is said of it."""

import numpy as np
import pytest

from schemas.answers import Decision
from schemas.decision_codec import decode_decision, encode_decision
from serving.ranking.defaults import default_config
from serving.ranking.exploration import thompson_sample

NOW = 1_795_428_000.0  # 2026-11-23T10:00Z, as in conftest


def ids(ranked):
    return [item.item_id for item in ranked.items]


def drawn(ranked):
    return [item for item in ranked.items if item.reasons[0].source == "explore"]


@pytest.fixture
def exploring(trained):
    trained.config = default_config(explore=0.2)
    return trained


def test_without_a_draw_nothing_is_explored(exploring, remember, say):
    value = remember(say("like", 1))
    apply_exploration = exploring.ask(value, user_id="ann")
    exploring.config = default_config()
    assert (
        apply_exploration.items
        == exploring.ask(value, user_id="ann").items
        == exploring.ask(value, user_id="ann", exploration_seed=3).items
    )


def test_a_share_of_the_list_is_drawn_and_the_rest_keeps_its_order(exploring, remember, say):
    value = remember(say("like", 1), say("like", 2))
    plain = ids(exploring.ask(value, user_id="ann", count=10))
    for draw in range(1, 20):
        ranked = exploring.ask(value, user_id="ann", count=10, exploration_seed=draw)
        assert len(drawn(ranked)) == 2
        rest = [item.item_id for item in ranked.items if item not in drawn(ranked)]
        assert rest == [each for each in plain if each in rest][:8] == plain[:8]
        assert ids(ranked) == [exploring.catalogue.ids[at] for at in ranked.positions]
        assert len(set(ids(ranked))) == 10
        scores = [item.score for item in ranked.items]
        assert scores == sorted(scores, reverse=True)
        assert all(0 < item.propensity <= 1 for item in ranked.items)


def test_equal_draws_give_equal_lists_and_others_differ(exploring, remember, say):
    value = remember(say("like", 1), say("like", 2))
    lists = [exploring.ask(value, user_id="ann", exploration_seed=draw).items for draw in (5, 5, 6, 7, 8)]
    assert lists[0] == lists[1]
    assert any(each != lists[0] for each in lists[2:])


def test_propensities_are_how_often_an_item_is_drawn():
    means, trials = np.array([0.5, 0.4, 0.3, 0.2], np.float32), np.full(4, 3.0, np.float32)
    shown, told = np.zeros(4), np.zeros(4)
    for seed in range(400):
        found = thompson_sample(means, trials, 2, np.random.default_rng(seed))
        shown[found.chosen] += 1
        # Of each item's estimates only those count that came with its being drawn.
        told[found.chosen] += found.propensities
    assert shown.sum() == 800
    assert told / shown == pytest.approx(shown / 400, abs=0.06)
    assert shown[0] > shown[3] > 0


def test_what_is_well_tried_is_drawn_as_its_mean_says():
    means = np.array([0.6, 0.5, 0.1], np.float32)
    tried = thompson_sample(means, np.full(3, 1e6, np.float32), 2, np.random.default_rng(1))
    assert tried.chosen.tolist() == [0, 1]
    assert tried.propensities.tolist() == [1.0, 1.0]


def test_the_record_keeps_propensities_below_one(exploring, remember, say):
    ranked = exploring.ask(remember(say("like", 1), say("like", 2)), user_id="ann", exploration_seed=3)
    from datetime import UTC, datetime

    from schemas.answers import RecommendationRequest

    record = Decision(
        recommendation_id="r",
        route="recommendations",
        generated_at=datetime.fromtimestamp(NOW, UTC),
        request=RecommendationRequest(now=NOW, exploration_seed=3),
        items=ranked.items,
        aggregates_version="-",
        catalogue_version="-",
        config_id="c",
        variant="default",
    )
    again = decode_decision(encode_decision(record))
    assert again.items == ranked.items
    assert again.request.exploration_seed == 3


async def test_the_service_draws_a_seed_for_each_request_and_keeps_it(shop, say):
    shop.models.publish()
    shop.know("ann", say("like", 3))
    service = shop.serve(ranking={"explore": 0.3})
    await service.start()
    for seed in (0, 0, 9):
        await service.recommend(service.request(user_id="ann", random_seed=seed))
    await service.stop()
    draws = [decode_decision(entry.value).request.exploration_seed for _, entry in shop.log.entries]
    assert len({0, *draws}) == 4
    assert draws[2] == 9
