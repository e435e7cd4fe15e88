import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.blend import Blend, standard
from models.popularity import Popularity
from models.structures.components import Component
from models.structures.recommender import Histories
from schemas.errors import Undecodable

finite = st.floats(-100, 100, width=32)


def histories_of(*rows):
    indptr = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64)
    items = np.array([i for row in rows for i in row], dtype=np.int32)
    users = tuple(f"stranger {at}" for at in range(len(rows)))
    return Histories(users, indptr, items, np.ones(items.size, dtype=np.float32), np.zeros(items.size))


@given(arrays(np.float32, (3, 6), elements=finite))
def test_standard_scores_have_a_mean_of_0_and_a_deviation_of_1(scores):
    given_scores = scores.astype(np.float64)
    found = standard(scores.copy())
    for line, row in zip(found, given_scores, strict=True):
        if row.std() > 1e-2:
            np.testing.assert_allclose(line, (row - row.mean()) / row.std(), atol=1e-3)


def test_a_component_that_says_the_same_of_everything_says_nothing():
    assert standard(np.full((1, 7), 0.1, dtype=np.float32)).tolist() == [[0.0] * 7]


def test_a_persons_scores_are_the_weighted_sum_of_standard_scores(blend, ease, popularity):
    histories = histories_of([0], [1, 5], [])
    expected = 0.75 * standard(ease.score_histories(histories)) + 0.25 * standard(popularity.score_histories(histories))
    np.testing.assert_allclose(blend.score_histories(histories), expected, rtol=1e-5, atol=1e-6)


def test_the_scale_of_a_component_does_not_matter(blend, ease, popularity):
    larger = Popularity(popularity.item_ids, popularity.scores * 1000 + 7)
    other = Blend((Component("ease", ease), Component("popularity", larger)), blend.weights)
    histories = histories_of([0, 3])
    np.testing.assert_allclose(other.score_histories(histories), blend.score_histories(histories), atol=1e-4)


def test_a_strangers_profile_scores_like_their_history(blend):
    found = blend.score({"last": 1.0, "plain": 1.0, "unheard of": 9.0, "with/slash": -1.0})
    np.testing.assert_array_equal(found, blend.score_histories(histories_of([0, 5]))[0])


def test_similar_items_are_what_the_weightiest_component_that_knows_them_says(ease, neighbours, popularity):
    parts = (Component("popularity", popularity), Component("ease", ease), Component("neighbours", neighbours))
    assert Blend(parts, np.array([0.7, 0.1, 0.2])).similar("plain", 5) == neighbours.similar("plain", 5)
    assert Blend(parts, np.array([0.7, 0.2, 0.1])).similar("plain", 5) == ease.similar("plain", 5)
    assert len(Blend(parts[:1], np.array([1.0])).similar("plain", 5)) == 0


def test_components_must_be_over_the_same_items(ease):
    with pytest.raises(Undecodable):
        Blend((Component("ease", ease), Component("popularity", Popularity(("x",), np.ones(1)))), np.ones(2))
    with pytest.raises(Undecodable):
        Blend((), np.ones(0))
    with pytest.raises(Undecodable):
        Blend((Component("ease", ease),), np.ones(2))
