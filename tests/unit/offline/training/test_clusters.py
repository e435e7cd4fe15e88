import numpy as np
import pytest

from models.structures.recommender import Histories
from offline.training.content import clusters
from offline.training.content.clusters import ClustersParameters
from schemas.errors import ConfigurationInvalid

TWO = ClustersParameters(clusters=2, factors=4)


def test_people_of_one_taste_are_one_cluster(two_tastes):
    model = clusters.train(two_tastes, TWO)
    profiles = two_tastes.histories(np.arange(40))
    found = [model.fold_in(profiles.profile(row, model.item_ids)) for row in range(40)]
    assert found[0] != found[1]
    assert found == found[:2] * 20


def test_popularity_is_summed_within_a_cluster(two_tastes):
    model = clusters.train(two_tastes, TWO)
    even, odd = two_tastes.matrix[::2].sum(axis=0).A1, two_tastes.matrix[1::2].sum(axis=0).A1
    first = model.assign(model.factors.fold_in({"i00": 1.0, "i01": 1.0}))
    np.testing.assert_allclose(model.score(first), even, rtol=1e-6)
    np.testing.assert_allclose(model.score(1 - first), odd, rtol=1e-6)


def test_everyone_is_shown_what_their_cluster_likes(two_tastes):
    scores = clusters.train(two_tastes, TWO).score_histories(two_tastes.histories(np.arange(2)))
    assert scores[0, :15].min() > scores[0, 15:].max()
    assert scores[1, 15:].min() > scores[1, :15].max()


def test_a_stranger_without_items_is_shown_what_everybody_likes(two_tastes):
    model = clusters.train(two_tastes, TWO)
    nobody = Histories(("",), np.zeros(2, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0))
    np.testing.assert_allclose(model.score_histories(nobody)[0], two_tastes.matrix.sum(axis=0).A1, rtol=1e-6)


def test_the_same_seed_gives_the_same_bytes(two_tastes):
    assert clusters.train(two_tastes, TWO, threads=1).save() == clusters.train(two_tastes, TWO, threads=2).save()


def test_there_are_no_more_clusters_than_people(interactions_of):
    assert len(clusters.train(interactions_of([[1, 0], [0, 1], [1, 1]])).centroids) == 3


def test_parameters_that_cannot_work_are_refused():
    with pytest.raises(ConfigurationInvalid):
        ClustersParameters(clusters=0)
