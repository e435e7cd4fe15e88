from dataclasses import replace

import numpy as np
import pytest

from models.als import Als
from schemas.errors import Undecodable


def half_step(als, weights):
    """The paper's equation 4, written out over all items: (Yᵀ C Y + λI)⁻¹ Yᵀ C p."""
    y = als.item_factors.astype(np.float64)
    w = np.array([weights.get(item_id, 0.0) for item_id in als.item_ids])
    c, p = np.diag(1 + als.alpha * w), (w > 0).astype(float)
    penalty = als.regularization + als.per_interaction * p.sum()
    return np.linalg.solve(y.T @ c @ y + penalty * np.eye(als.dimensions), y.T @ c @ p)


PROFILE = {"plain": 1.0, "数": 3.5, "last": 0.25}


@pytest.mark.parametrize("per_interaction", [0.0, 0.7])
def test_folding_in_is_the_exact_half_step(als, per_interaction):
    als = replace(als, per_interaction=per_interaction)
    np.testing.assert_allclose(als.fold_in(PROFILE), half_step(als, PROFILE), rtol=1e-5)


def test_folding_in_an_item_is_the_same_step_with_the_sides_changed(als):
    als = replace(als, item_regularization=1.7, per_interaction=0.2)
    turned = Als(als.item_ids, als.user_ids, als.item_factors, als.user_factors, 1.7, als.alpha, 0.2)
    first = {"u:1": 2.0, "u:4": 0.5}
    np.testing.assert_array_equal(als.fold_in_item(first), turned.fold_in(first))
    assert als.fold_in_item({"unheard of": 1.0}).tolist() == [0, 0, 0, 0]


def test_a_prior_says_what_is_expected_of_everything_else(als):
    prior = np.array([0.5, -1.0, 0.25, 2.0], dtype=np.float32)
    y = als.item_factors.astype(np.float64)
    w = np.array([PROFILE.get(item_id, 0.0) for item_id in als.item_ids])
    target = np.where(w > 0, 1.0, y @ prior)
    c = np.diag(1 + als.alpha * w)
    wanted = np.linalg.solve(y.T @ c @ y + 0.3 * np.eye(4), y.T @ c @ target + 0.3 * prior)
    np.testing.assert_allclose(als.fold_in(PROFILE, prior), wanted, rtol=1e-4)


def test_a_profile_of_nothing_is_its_prior(als):
    prior = np.array([0.5, -1.0, 0.25, 2.0], dtype=np.float32)
    assert als.fold_in({}, prior).tolist() == als.fold_in_item({}, prior).tolist() == prior.tolist()


def test_how_often_regularization_counts_matters(als):
    assert not np.allclose(als.fold_in(PROFILE), replace(als, per_interaction=0.7).fold_in(PROFILE))


def test_unknown_items_and_weights_that_are_not_positive_count_nothing(als):
    more = {**PROFILE, "unheard of": 9.0, "with/slash": 0.0, "Überraschung": -1.0}
    np.testing.assert_array_equal(als.fold_in(more), als.fold_in(PROFILE))


def test_nobodys_profile_is_the_zero_vector(als):
    assert als.fold_in({}).tolist() == [0, 0, 0, 0]
    assert als.fold_in({"unheard of": 1.0}).tolist() == [0, 0, 0, 0]


def test_what_items_contribute_adds_up_to_the_score(als):
    scores = als.score(als.fold_in(PROFILE))
    for item_id, score in zip(als.item_ids, scores, strict=True):
        contributions = als.contributions(PROFILE, item_id)
        assert contributions.keys() == PROFILE.keys()
        assert sum(contributions.values()) == pytest.approx(float(score), rel=1e-4, abs=1e-6)


def test_nothing_contributes_to_an_unknown_item(als):
    assert als.contributions(PROFILE, "unheard of") == {}
    assert als.contributions({}, "plain") == {}


def test_a_score_is_the_product_of_factors(als):
    expected = [float(np.dot(als.user_factors[2], row)) for row in als.item_factors]
    np.testing.assert_allclose(als.score(als.vector("u:2")), expected, rtol=1e-5)


def test_items_are_scored_in_the_order_asked_for_and_unknown_ones_are_nan(als):
    vector = als.vector("u:0")
    every = als.score(vector)
    scores = als.score_items(vector, ["last", "unheard of", "plain"])
    np.testing.assert_allclose(scores, [every[5], np.nan, every[0]], rtol=1e-6)
    assert als.score_items(vector, []).shape == (0,)


def test_an_unknown_user_has_no_vector(als):
    assert als.vector("nobody") is None


def test_similar_items_are_ranked_by_cosine_without_the_item_itself(als):
    directions = als.item_factors / np.linalg.norm(als.item_factors, axis=1, keepdims=True)
    cosines = dict(zip(als.item_ids, (directions @ directions[3]).tolist(), strict=True))
    del cosines["数"]
    similar = als.similar("数", 10)
    assert list(similar.item_ids) == sorted(cosines, key=cosines.get, reverse=True)
    assert similar.scores == pytest.approx(sorted(cosines.values(), reverse=True), rel=1e-5)
    assert als.similar("数", 2).item_ids == similar.item_ids[:2]


def test_nothing_is_similar_to_an_unknown_item(als):
    assert len(als.similar("unheard of", 5)) == 0


def test_an_item_without_factors_is_like_nothing_and_breaks_nothing(als):
    factors = als.item_factors.copy()
    factors[0] = 0
    als = replace(als, item_factors=factors)
    assert dict(als.similar("last", 10))["plain"] == 0.0


def test_without_users_it_still_folds_in(als):
    alone = als.without_users()
    assert alone.vector("u:0") is None
    np.testing.assert_array_equal(alone.fold_in(PROFILE), als.fold_in(PROFILE))


def test_factors_must_fit_their_ids(als):
    with pytest.raises(Undecodable):
        replace(als, item_ids=als.item_ids[:-1])
