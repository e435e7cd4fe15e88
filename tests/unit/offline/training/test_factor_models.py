"""SVD, NMF and BPR learn two tastes, and fold in the newest items of a user."""

import numpy as np
import pytest

from offline.training.algorithm import Context
from offline.training.factorization import bpr, nmf, svd
from offline.training.factorization.bpr import BprParameters
from offline.training.factorization.nmf import NmfParameters
from offline.training.factorization.svd import SvdParameters
from offline.training.registry import algorithm
from schemas.errors import ConfigurationInvalid

SMALL = {
    "svd": {"factors": 4},
    "nmf": {"factors": 4},
    "bpr": {"factors": 4, "iterations": 60},
}


@pytest.fixture(params=SMALL)
def train(request):
    using = algorithm(request.param)
    return lambda interactions: using.train(interactions, using.parameters(**SMALL[request.param]), Context())


def split(scores, user):
    own, other = (slice(0, 15), slice(15, 30)) if user % 2 == 0 else (slice(15, 30), slice(0, 15))
    return scores[own], scores[other]


def test_it_learns_who_likes_what(train, two_tastes):
    scores = train(two_tastes).score_histories(two_tastes.histories(np.arange(40)))
    for user in range(40):
        own, other = split(scores[user], user)
        assert own.mean() > other.max()


def test_a_strangers_newest_items_fold_in(train, two_tastes):
    model = train(two_tastes)
    for user in (0, 1):
        profile = {two_tastes.item_ids[i]: 1.5 for i in two_tastes.matrix[user].indices[:4]}
        own, other = split(model.score(model.fold_in(profile)), user)
        assert own.mean() > other.mean() + other.std()


def test_the_same_seed_gives_the_same_bytes(train, two_tastes):
    assert train(two_tastes).save() == train(two_tastes).save()


def test_it_takes_no_more_factors_than_there_are(train, interactions_of):
    model = train(interactions_of([[1, 1, 0], [0, 1, 1]]))
    assert np.isfinite(model.score(model.fold_in({"i00": 1.0}))).all()


def test_svd_is_numpys(two_tastes):
    had = (two_tastes.matrix.toarray() > 0).astype(float)
    right = np.linalg.svd(had)[2][:6].T
    model = svd.train(two_tastes, SvdParameters(factors=6, scaling=1.0))
    np.testing.assert_allclose(
        model.score_histories(two_tastes.histories(np.arange(40))), had @ right @ right.T, atol=1e-4
    )


def test_scaling_shortens_the_columns_of_popular_items(two_tastes):
    had = (two_tastes.matrix.toarray() > 0).astype(float)
    right = np.linalg.svd(had / had.sum(axis=0) ** 0.25)[2][:6].T
    model = svd.train(two_tastes, SvdParameters(factors=6, scaling=0.5))
    np.testing.assert_allclose(np.abs(model.item_factors), np.abs(right), atol=1e-4)


def test_nmfs_factors_are_not_negative_and_near_the_matrix(two_tastes):
    had = (two_tastes.matrix.toarray() > 0).astype(float)
    model = nmf.train(two_tastes, NmfParameters(factors=8))
    scores = model.score_histories(two_tastes.histories(np.arange(40)))
    assert model.item_factors.min() >= 0
    assert scores.min() >= 0
    assert np.square(scores - had).mean() < 0.75 * np.square(had - had.mean()).mean()


def test_bprs_users_are_as_trained_and_near_what_their_items_say(two_tastes):
    model = bpr.train(two_tastes, BprParameters(factors=4, iterations=60))
    profile = {two_tastes.item_ids[i]: 1.0 for i in two_tastes.matrix[0].indices}
    trained, folded = model.vector("u00"), model.fold_in(profile)
    assert trained @ folded > 0.8 * np.linalg.norm(trained) * np.linalg.norm(folded)


def test_training_bpr_says_how_far_it_is(two_tastes):
    steps = []
    bpr.train(two_tastes, BprParameters(factors=2, iterations=3), lambda *step: steps.append(step))
    assert steps == [("training bpr", done, 3) for done in (1, 2, 3)]


@pytest.mark.parametrize(
    "wrong",
    [lambda: SvdParameters(factors=0), lambda: NmfParameters(regularization=-1), lambda: BprParameters(iterations=0)],
)
def test_parameters_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigurationInvalid):
        wrong()
