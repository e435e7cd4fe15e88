from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import nnls

from models.structures.recommender import Histories

PROFILE = {"plain": 1.0, "数": 3.0, "unheard of": 2.0, "last": 0.0}


def histories(user_ids, *rows):
    indptr = np.cumsum([0, *map(len, rows)])
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    return Histories(user_ids, indptr, items, np.full(items.size, 5.0, np.float32), np.zeros(items.size))


def test_a_profile_is_the_projected_sum_of_its_items_factors(factors):
    summed = factors.item_factors[0] + 3 * factors.item_factors[3]
    np.testing.assert_allclose(factors.fold_in(PROFILE), summed / np.sqrt(4) @ factors.projection, rtol=1e-5)


def test_nobodys_profile_is_the_zero_vector(factors):
    assert factors.fold_in({}).tolist() == [0, 0, 0]
    assert factors.fold_in({"unheard of": 1.0, "plain": -1.0}).tolist() == [0, 0, 0]


def test_a_score_is_the_product_of_factors_and_the_bias(factors):
    vector = factors.fold_in(PROFILE)
    np.testing.assert_allclose(factors.score(vector), factors.item_factors @ vector + factors.item_biases, rtol=1e-6)


def test_who_is_held_has_trained_factors_and_a_stranger_is_folded_in(factors):
    scores = factors.score_histories(histories(("u:1", "stranger", "nobody"), [0], [0, 3], []))
    np.testing.assert_allclose(scores[0], factors.score(factors.vector("u:1")), rtol=1e-5)
    np.testing.assert_allclose(scores[1], factors.score(factors.fold_in({"plain": 1, "数": 1})), rtol=1e-5)
    np.testing.assert_allclose(scores[2], factors.item_biases, rtol=1e-5)
    assert factors.vector("stranger") is None


@pytest.mark.parametrize("seed", range(4))
def test_non_negative_factors_are_the_non_negative_least_squares(factors, seed):
    random = np.random.default_rng(seed)
    q = random.random((6, 3)).astype(np.float32)
    model = replace(factors, item_factors=q, projection=np.linalg.inv(q.T @ q), share=0.0, nonnegative=True)
    wanted, _ = nnls(q, np.array([1, 0, 0, 1, 1, 0], dtype=float))
    np.testing.assert_allclose(model.fold_in({model.item_ids[i]: 1.0 for i in (0, 3, 4)}), wanted, atol=1e-3)


def test_the_most_similar_are_nearest_by_cosine_without_the_item_itself(factors):
    q = factors.item_factors / np.linalg.norm(factors.item_factors, axis=1, keepdims=True)
    order = [i for i in np.argsort(-(q @ q[0])).tolist() if i != 0]
    assert factors.similar("plain", 3).item_ids == tuple(factors.item_ids[i] for i in order[:3])
    assert len(factors.similar("unheard of", 3)) == 0
