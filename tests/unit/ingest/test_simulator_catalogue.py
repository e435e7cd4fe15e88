"""The sample shop sells real games, and its catalogue is fit to be put on the log."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from ingest.simulator.catalogue import ARRIVALS, arrival_days
from ingest.simulator.shop import Game, catalogue

END = datetime(2025, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def games() -> list[Game]:
    return catalogue()


def test_the_shop_sells_many_games_from_four_decades(games):
    years = [game["attributes"]["year"] for game in games]
    assert len(games) >= 180
    assert min(years) == 1985
    assert max(years) == 2024


def test_no_id_and_no_title_occurs_twice(games):
    assert len({game["item_id"] for game in games}) == len(games)
    assert len({game["title"].lower() for game in games}) == len(games)


def test_every_id_is_a_slug(games):
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", game["item_id"]) for game in games)


def test_every_game_has_genres_tags_platforms_a_developer_and_a_description(games):
    for game in games:
        assert 1 <= len(set(game["categories"])) == len(game["categories"]) <= 3
        assert 3 <= len(set(game["tags"])) == len(game["tags"]) <= 6
        assert game["attributes"]["platforms"]
        assert game["attributes"]["developer"].strip()
        assert 20 <= len(game["description"]) <= 140


def test_prices_are_those_of_a_game_shop(games):
    assert all(0.0 <= game["price"] <= 70.0 for game in games)


def test_every_large_genre_is_well_stocked(games):
    stock = Counter(genre for game in games for genre in game["categories"])
    wanted = [
        "RPG",
        "Strategy",
        "Shooter",
        "Platformer",
        "Puzzle",
        "Racing",
        "Sports",
        "Simulation",
        "Horror",
        "Adventure",
        "Roguelike",
        "MMO",
    ]
    wanted += ["Metroidvania", "Fighting", "City Builder", "Survival", "Stealth", "Rhythm", "Card Game"]
    assert all(stock[genre] >= 10 for genre in wanted)


def test_items_carry_only_the_fields_of_the_contract(games):
    fields = {"item_id", "title", "description", "categories", "tags", "price", "published_at", "attributes"}
    assert all(set(game) == fields for game in games)


def test_without_an_end_a_game_is_published_in_its_own_year(games):
    assert all(game["published_at"] == f"{game['attributes']['year']}-01-01T00:00:00.000Z" for game in games)


def test_with_an_end_the_newest_games_arrive_within_the_recorded_days():
    recent = [
        g for g in catalogue(END, days=60) if datetime.fromisoformat(g["published_at"]) > END - timedelta(days=60)
    ]
    assert len(recent) == ARRIVALS == len(arrival_days(60))
    assert all(datetime.fromisoformat(game["published_at"]) < END for game in recent)


def test_a_caller_may_change_an_item_without_changing_the_shop(games):
    catalogue()[0]["tags"].append("mine")
    assert "mine" not in catalogue()[0]["tags"]
