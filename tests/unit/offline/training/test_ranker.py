"""A ranker learns from a validation slice, and its trees equal LightGBM's."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.structures.kinds import load_model
from offline.data.splits import inner
from offline.training.algorithm import Context
from offline.training.blending import ranker
from offline.training.blending.ranker import RankerParameters
from offline.training.registry import algorithm
from schemas.errors import ConfigurationInvalid, NothingToTrain

SMALL = RankerParameters(components=("ease", "popularity"), trees=8, leaves=4, smallest=2, depth=8)


def trained(interactions, parameters=SMALL):
    return algorithm("ranker").train(interactions, parameters, Context(threads=1))


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(2, 20))
@settings(max_examples=15, deadline=None)
def test_the_trees_say_what_lightgbm_says(seed, rounds, leaves):
    lightgbm = pytest.importorskip("lightgbm", reason="the extra 'ranker' is not installed")
    random = np.random.default_rng(seed)
    rows = random.normal(size=(200, 3)).round(1)
    wanted = rows[:, 0] * rows[:, 1] + random.normal(size=200)
    options = {"num_leaves": leaves, "min_data_in_leaf": 3, "use_missing": False, "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(options, lightgbm.Dataset(rows, wanted), rounds)
    others = np.concatenate([rows, random.normal(size=(50, 3))])
    np.testing.assert_allclose(ranker.exported(booster).predict(others), booster.predict(others), atol=1e-6)


def test_a_tree_that_found_nothing_to_split_is_one_leaf():
    lightgbm = pytest.importorskip("lightgbm", reason="the extra 'ranker' is not installed")
    rows = np.zeros((20, 2))
    booster = lightgbm.train({"verbosity": -1, "num_threads": 1}, lightgbm.Dataset(rows, np.ones(20)), 2)
    np.testing.assert_allclose(ranker.exported(booster).predict(rows), booster.predict(rows), atol=1e-6)


def test_what_was_held_out_is_an_example_among_candidates_that_are_new_to_the_person(two_tastes):
    part, held = inner(two_tastes, users=40, seed=3)
    components = ranker._components(ranker.using_each(SMALL.components, {}), part, Context(threads=1))
    found = ranker.examples(part, held, components, ranker.described(part, Context().metadata), 8)
    ends = np.cumsum(found.sizes)
    assert [each.sum() for each in np.split(found.right, ends[:-1])] == [1] * found.sizes.size
    assert ends[-1] == found.right.size == found.rows.shape[0]


def test_people_are_led_to_their_own_taste(two_tastes):
    pytest.importorskip("lightgbm", reason="the extra 'ranker' is not installed")
    model = trained(two_tastes)
    scores = model.score_histories(two_tastes.histories(np.arange(2)))
    scores[two_tastes.matrix[:2].toarray() > 0] = -np.inf
    assert scores[0].argmax() < 15 <= scores[1].argmax()


def test_equal_seeds_are_equal_bytes(two_tastes):
    pytest.importorskip("lightgbm", reason="the extra 'ranker' is not installed")
    model = trained(two_tastes)
    assert trained(two_tastes).save() == model.save()
    assert load_model(model.save()).save() == model.save()


def test_without_the_extra_it_says_what_to_install(two_tastes, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ConfigurationInvalid, match=r"freshet\[ranker\]"):
        trained(two_tastes)


def test_nothing_is_learned_where_nobody_can_be_asked(interactions_of):
    pytest.importorskip("lightgbm", reason="the extra 'ranker' is not installed")
    with pytest.raises(NothingToTrain):
        trained(interactions_of([[1, 1], [1, 0]]))


@pytest.mark.parametrize(
    "wrong", [{"components": ()}, {"components": ("ease", "ease")}, {"components": ("ranker",)}, {"leaves": 1}]
)
def test_rankers_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigurationInvalid):
        RankerParameters(**wrong)
