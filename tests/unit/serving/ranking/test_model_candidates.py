"""Candidates of models that a site may train beside its main one: clusters, cold items, popularity by segment."""

from dataclasses import replace

import numpy as np
import pytest

from models.clusters import Clusters
from models.content import Content
from models.hybrid import Hybrid
from models.popularity import Popularity
from serving.ranking.defaults import default_config
from serving.state import model_bundle

DIMENSIONS = 6


@pytest.fixture
def alone(trained):
    """A world in which one source speaks, with one more value in its model version."""

    def alone(source, *further, **values):
        trained.config = default_config(sources={source: 1.0})
        trained.models = model_bundle.bind(replace(trained.models, unbound=further, **values), trained.catalogue)
        return trained

    return alone


def ids_and_sources(ranked):
    return [(item.item_id, reason.source) for item in ranked.items for reason in item.reasons]


def clusters_of(als):
    """Clusters along the axes of the factors; in each, one item is popular."""
    popularity = np.zeros((DIMENSIONS, len(als.item_ids)), np.float32)
    for cluster in range(DIMENSIONS):
        popularity[cluster, 30 + cluster] = 9.0
    return Clusters(als, np.eye(DIMENSIONS, dtype=np.float32), popularity)


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_user_is_shown_what_is_popular_in_the_cluster_that_the_newest_events_lead_to(alone, remember, say, number):
    world = alone("cluster_popular", clusters_of(alone("cluster_popular").models.als))
    ranked = world.ask(remember(say("like", number)), count=1)
    assert ids_and_sources(ranked) == [(f"item-{30 + number}", "cluster_popular")]


def test_a_cold_start_user_belongs_to_no_cluster(alone, remember):
    world = alone("cluster_popular", clusters_of(alone("cluster_popular").models.als))
    assert "cluster_popular" not in {source for _, source in ids_and_sources(world.ask(remember(), count=5))}


def hybrid_of(als, cold):
    terms = Content((), (), np.zeros(0), np.zeros(1), np.zeros(0), np.zeros(0))
    nothing = np.zeros((0, DIMENSIONS))
    mean = np.zeros(DIMENSIONS)
    return Hybrid(als, terms, mean, nothing, (), mean, nothing, tuple(cold), np.array(list(cold.values())))


def test_an_item_that_nobody_had_at_training_is_found_by_those_whose_taste_its_data_fits(
    alone, remember, say, describe
):
    axes = np.eye(DIMENSIONS)
    world = alone("cold_items")
    for number in (70, 71):
        world.catalogue.put(describe(number))
    world = alone("cold_items", hybrid_of(world.models.als, {"item-70": axes[1], "item-71": axes[2]}))
    likes_racing = world.ask(remember(say("like", 1), say("like", 7)), count=1)
    likes_strategy = world.ask(remember(say("like", 2), say("like", 8)), count=1)
    assert ids_and_sources(likes_racing) == [("item-70", "cold_items")]
    assert ids_and_sources(likes_strategy) == [("item-71", "cold_items")]


def by_country():
    """What is popular in Germany and in France, by items 3 and 4, and 5."""
    ids = tuple(f"item-{number}" for number in range(60))
    boards = ("country=de", "country=fr")
    return Popularity(
        ids, np.ones(60), boards, np.array([0, 2, 3]), np.array([3, 4, 5]), np.array([1.0, 4.0, 2.0], np.float32)
    )


@pytest.mark.parametrize(("country", "expected"), [("DE", ["item-4", "item-3"]), ("FR", ["item-5"]), ("US", [])])
def test_what_was_popular_in_the_country_of_the_request_comes_first(alone, remember, country, expected):
    world = alone("popular_in_segment", popularity=by_country())
    ranked = world.ask(remember(), count=5, context={"country": country})
    assert [item for item, source in ids_and_sources(ranked) if source == "popular_in_segment"] == expected


def test_attributes_of_the_user_name_segments_too(alone, remember):
    world = alone("popular_in_segment", popularity=by_country())
    ranked = world.ask(remember(), count=1, attributes={"country": "FR"})
    assert ids_and_sources(ranked) == [("item-5", "popular_in_segment")]
