"""An event type that no code knows counts as soon as the ranking configuration gives it a weight."""

import pytest

from schemas.events import TYPES
from serving.config import Settings
from serving.state.aggregates import Aggregates

TYPE = "finish_level"
PUZZLES = {f"item-{number}" for number in range(0, 60, 6)}
RANKING = {"weights": {TYPE: 3.0}, "population_weights": {TYPE: 2.0}}


@pytest.fixture
def configured(trained):
    """The trained world, configured as a site does it."""

    def configure(**ranking):
        trained.config = Settings(ranking=ranking).ranking_config()
        trained.aggregates = Aggregates(trained.catalogue, 8, trained.config.population_weights)
        return trained

    return configure


def ids(ranked):
    return [item.item_id for item in ranked.items]


def test_no_code_knows_the_type():
    assert TYPE not in TYPES
    assert TYPE not in Settings().ranking_config().weights


def test_what_a_user_did_leads_to_items_like_it(configured, say, remember):
    value = remember(*(say(TYPE, number) for number in (6, 12, 18)))
    assert [entry.type for entry in value.recent] == [TYPE] * 3
    with_weight = ids(configured(**RANKING).ask(value, user_id="ann", count=5))
    without = ids(configured().ask(value, user_id="ann", count=5))
    assert set(with_weight) <= PUZZLES
    assert not set(without) <= PUZZLES


def test_what_many_users_did_makes_an_item_popular(configured, say):
    events = [say(TYPE, 9, user_id=f"u{n}") for n in range(4)]
    world = configured(**RANKING)
    world.happen(*events)
    assert world.aggregates.read("pop", "item-9").total == 4 * 2.0
    assert world.catalogue.ids[world.aggregates.popular[0]] == "item-9"
    assert "item-9" in ids(world.ask(count=5))
    other = configured()
    other.happen(*events)
    assert other.aggregates.popular.size == 0
