"""User neighbours, compared with a dense computation in numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from offline.training.neighbourhood import user_neighbours
from offline.training.neighbourhood.user_neighbours import UserNeighbourParameters
from schemas.errors import ConfigurationInvalid
from tests.unit.offline.conftest import dense_interactions

WEIGHTINGS = st.sampled_from(["cosine", "tfidf", "bm25"])


def oracle(had, query, parameters):
    """Scores of every item for a binary query, over dense rows."""
    rarity = np.ones(had.shape[1])
    if parameters.weighting != "cosine":
        rarity = np.log1p(len(had) / np.maximum(had.sum(axis=0), 1))
    people, asked = had * rarity, query * rarity
    lengths, shrinkage = np.linalg.norm(people, axis=1) * np.linalg.norm(asked), parameters.shrinkage
    if parameters.weighting == "bm25":
        relative = 1 - parameters.b + parameters.b * had.sum(axis=1) / had.sum(axis=1).mean()
        lengths, shrinkage = (parameters.k1 * relative + 1) / (parameters.k1 + 1) * np.linalg.norm(asked), 0
    common = people @ asked
    similar = np.divide(common, lengths + shrinkage, out=np.zeros(len(had)), where=common > 0)
    nearest = np.argsort(-similar, kind="stable")[: parameters.width]
    return similar[nearest] @ had[nearest]


@given(arrays(bool, (9, 7)).filter(np.any), arrays(bool, 7).filter(np.any), WEIGHTINGS)
def test_a_stranger_is_scored_by_the_people_nearest_to_them(had, query, weighting):
    parameters = UserNeighbourParameters(weighting=weighting, width=9, shrinkage=2.0)
    model = user_neighbours.train(dense_interactions(had), parameters)
    scores = model.score({model.item_ids[i]: 1.0 for i in np.flatnonzero(query)})
    np.testing.assert_allclose(scores, oracle(had, query, parameters), rtol=1e-4, atol=1e-5)


def test_everyone_is_scored_as_the_stranger_with_the_same_items(two_tastes):
    model = user_neighbours.train(two_tastes)
    scores = model.score_histories(two_tastes.histories(np.arange(40)))
    for row in (0, 17):
        had = {two_tastes.item_ids[i]: 1.0 for i in two_tastes.matrix[row].indices}
        np.testing.assert_allclose(scores[row], model.score(had), rtol=1e-6)


def test_people_of_one_taste_are_shown_its_items(two_tastes):
    scores = user_neighbours.train(two_tastes).score_histories(two_tastes.histories(np.arange(2)))
    assert scores[0, :15].min() > scores[0, 15:].max()
    assert scores[1, 15:].min() > scores[1, :15].max()


def test_parameters_that_cannot_work_are_refused():
    with pytest.raises(ConfigurationInvalid):
        UserNeighbourParameters(weighting="euclid")
