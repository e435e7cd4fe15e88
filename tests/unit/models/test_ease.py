from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import ease as module
from models.ease import Ease
from models.structures.recommender import Histories
from schemas.errors import Undecodable

COUNT = 5
IDS = tuple("abcde")


def of(matrix, **settings):
    """The model of a dense matrix, its zeros left out."""
    matrix = np.asarray(matrix, dtype=np.float32)
    lengths = (matrix != 0).sum(axis=1)
    indptr = np.concatenate(([0], np.cumsum(lengths)))
    return Ease(IDS[: len(matrix)], indptr, np.nonzero(matrix)[1], matrix[matrix != 0], **settings)


def whole(matrix):
    """The model of a dense matrix, its zeros stored."""
    matrix = np.asarray(matrix, dtype=np.float32)
    count = len(matrix)
    return Ease(IDS[:count], np.arange(count + 1) * count, np.tile(np.arange(count), count), matrix.ravel())


def histories_of(profiles):
    """Each profile a mapping of positions to weights."""
    indptr = np.concatenate(([0], np.cumsum([len(each) for each in profiles]))).astype(np.int64)
    items = np.array([i for each in profiles for i in each], dtype=np.int32)
    weights = np.array([w for each in profiles for w in each.values()], dtype=np.float32)
    return Histories(tuple(map(str, range(len(profiles)))), indptr, items, weights, np.zeros(items.size))


weights = st.integers(-3, 3).map(float)
matrices = st.lists(st.lists(weights, min_size=COUNT, max_size=COUNT), min_size=COUNT, max_size=COUNT)
profiles = st.lists(st.dictionaries(st.integers(0, COUNT - 1), st.integers(1, 4).map(float)), max_size=6)


@given(matrices, profiles, st.booleans(), st.integers(1, 12))
def test_histories_score_what_a_matrix_product_does(matrix, given_profiles, weighted, at_once):
    dense = np.zeros((len(given_profiles), COUNT))
    for row, profile in enumerate(given_profiles):
        for i, weight in profile.items():
            dense[row, i] = weight if weighted else 1.0
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_AT_ONCE", at_once)
        for model in (of(matrix, weighted=weighted), replace(whole(matrix), weighted=weighted)):
            scores = model.score_histories(histories_of(given_profiles))
            assert scores.dtype == np.float32
            np.testing.assert_allclose(scores, dense @ np.array(matrix), rtol=1e-5)


@given(matrices, st.dictionaries(st.sampled_from([*IDS, "unheard of"]), st.integers(-3, 3).map(float)))
def test_contributions_sum_to_the_score(matrix, profile):
    for model in (of(matrix), whole(matrix)):
        scores = model.score(profile)
        for j, item_id in enumerate(IDS):
            shares = model.contributions(profile, item_id)
            assert set(shares) == set(profile) & set(IDS)
            assert sum(shares.values()) == pytest.approx(float(scores[j]), rel=1e-5)


def test_having_an_item_speaks_for_others_in_one_direction(ease):
    assert ease.score({"plain": 1.0})[ease.index_of("last")] == 0.5
    assert ease.score({"last": 1.0})[ease.index_of("plain")] == 0.25


def test_nothing_explains_an_unknown_item(ease):
    assert ease.contributions({"plain": 1.0}, "unheard of") == {}


def test_similar_items_are_those_it_speaks_for_best_first():
    model = of([[9, 0.25, -1, 0.5, 0], [0, 0, 0, 0, 1], [0] * 5, [0] * 5, [0] * 5])
    assert list(model.similar("a", 10)) == [("d", 0.5), ("b", 0.25)]
    assert list(model.similar("a", 1)) == [("d", 0.5)]
    assert len(model.similar("c", 3)) == 0
    assert len(model.similar("unheard of", 3)) == 0


@pytest.mark.parametrize(
    ("indptr", "indices"),
    [([0, 1, 2], [0, 2]), ([0, 1, 2], [-1, 0]), ([0, 2, 2], [1, 0]), ([0, 2, 2], [1, 1]), ([0, 3, 2], [0, 1]),
     ([0, 1, 1], [0, 1]), ([1, 1, 2], [0, 1])],
)  # fmt: skip
def test_weights_must_be_rows_over_the_items(indptr, indices):
    with pytest.raises(Undecodable):
        Ease(("a", "b"), np.array(indptr), np.array(indices), np.ones(2))


def test_rows_may_be_empty_anywhere():
    model = of([[0, 0, 0], [1, 0, 2], [0, 0, 0]])
    assert model.score({"a": 1.0, "b": 2.0, "c": 1.0}).tolist() == [2, 0, 4]
