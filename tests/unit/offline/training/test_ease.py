"""EASE compared with a dense computation in numpy, and the trainings that it refuses."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis.extra.numpy import arrays

from offline.data.dataset import Interactions
from offline.training.algorithm import Context
from offline.training.neighbourhood import ease
from offline.training.neighbourhood.ease import EaseParameters, SparseEaseParameters
from offline.training.registry import algorithm
from schemas.errors import ConfigurationInvalid, TrainingTooLarge
from schemas.offline.manifest import DataWindow

PAPER = {"regularization": 5.0, "item_power": 0.0, "user_power": 0.0}


def dense(model):
    count = len(model.item_ids)
    rows = np.repeat(np.arange(count), np.diff(model.indptr))
    matrix = np.zeros((count, count), dtype=np.float32)
    matrix[rows, model.indices] = model.values
    return matrix


def oracle(matrix, penalty):
    """B of the paper, from float64 and a general inverse."""
    inverse = np.linalg.inv(matrix.T @ matrix + np.diag(penalty))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def test_the_closed_form_is_the_papers(two_tastes):
    model = ease.train(two_tastes, EaseParameters(**PAPER))
    had = (two_tastes.matrix.toarray() > 0).astype(float)
    np.testing.assert_allclose(dense(model), oracle(had, np.full(30, 5.0)), atol=1e-6)


def test_weights_count_where_they_are_asked_for(two_tastes):
    model = ease.train(two_tastes, EaseParameters(**PAPER, weighted=True))
    amounts = two_tastes.matrix.toarray().astype(float)
    amounts /= amounts[amounts > 0].mean()
    assert model.weighted
    np.testing.assert_allclose(dense(model), oracle(amounts, np.full(30, 5.0)), atol=1e-6)


@given(arrays(bool, (12, 7)).filter(np.any))
def test_people_with_many_items_count_less_and_popular_items_are_regularized_more(had):
    equations = ease._equations(_interactions(had), EaseParameters(user_power=0.5, regularization=3.0))
    counts = had.sum(axis=1)
    person = 1 / np.sqrt(np.maximum(counts, 1))
    person *= counts.sum() / (person * counts).sum()
    gram = (had * person[:, None]).T @ had
    np.testing.assert_allclose((equations.columns.T @ equations.rows).toarray(), gram, rtol=1e-4, atol=1e-5)
    some = had.any(axis=0)
    np.testing.assert_allclose(equations.penalty[some], 3 * np.sqrt(np.diag(gram))[some], rtol=1e-4)


def _interactions(had):
    matrix = sp.csr_matrix(had.astype(np.float32))
    window = DataWindow(interactions=int(matrix.nnz), users=had.shape[0], items=had.shape[1])
    ids = [tuple(f"{name}{at:02}" for at in range(size)) for name, size in zip("ui", had.shape, strict=True)]
    return Interactions(*ids, matrix, window, {})


def test_a_neighbourhood_of_everything_is_the_closed_form(two_tastes, interactions_of):
    # Somebody who has everything, so that all items are neighbours.
    everything = interactions_of(np.vstack([two_tastes.matrix.toarray(), np.ones(30)]))
    whole = ease.train(everything, EaseParameters())
    sparse = ease.train_sparse(everything, SparseEaseParameters(nearest=29))
    np.testing.assert_allclose(dense(sparse), dense(whole), atol=1e-5)


def test_each_item_is_foreseen_by_no_more_than_its_nearest(two_tastes):
    found = dense(ease.train_sparse(two_tastes, SparseEaseParameters(nearest=4)))
    assert set((found != 0).sum(axis=0).tolist()) == {4}
    # All of them are of the item's own taste.
    assert not found[:15, 15:].any()
    assert not found[15:, :15].any()


def test_a_neighbourhood_is_solved_exactly(two_tastes):
    found = dense(ease.train_sparse(two_tastes, SparseEaseParameters(**PAPER, nearest=4)))
    had = (two_tastes.matrix.toarray() > 0).astype(float)
    near = np.flatnonzero(found[:, 3])
    expected = np.linalg.solve(had[:, near].T @ had[:, near] + 5 * np.eye(4), had[:, near].T @ had[:, 3])
    np.testing.assert_allclose(found[near, 3], expected, atol=1e-6)


@pytest.mark.parametrize("name", ["ease", "ease-sparse"])
def test_the_largest_weights_of_each_item_are_kept(two_tastes, name):
    using = algorithm(name)
    every = dense(using.train(two_tastes, using.parameters(), Context()))
    some = dense(using.train(two_tastes, using.parameters(kept=3, whole=0), Context()))
    assert (some != 0).sum(axis=1).tolist() == [3] * 30
    for kept, row in zip(some, every, strict=True):
        np.testing.assert_array_equal(kept[kept != 0], row[kept != 0])
        assert np.abs(row[kept == 0]).max() <= np.abs(row[kept != 0]).min()


@pytest.mark.parametrize("name", ["ease", "ease-sparse"])
def test_blocks_do_not_change_it(two_tastes, monkeypatch, name):
    using = algorithm(name)
    at_once = using.train(two_tastes, using.parameters(), Context(threads=1))
    monkeypatch.setattr(ease, "_BLOCK", 7)
    np.testing.assert_allclose(
        dense(using.train(two_tastes, using.parameters(), Context(threads=1))), dense(at_once), atol=1e-6
    )


def test_threads_do_not_change_neighbourhoods(two_tastes, monkeypatch):
    monkeypatch.setattr(ease, "_BLOCK", 7)
    models = [ease.train_sparse(two_tastes, threads=threads).save() for threads in (1, 3)]
    assert models[0] == models[1]


def test_it_learns_who_likes_what(two_tastes):
    for model in (ease.train(two_tastes), ease.train_sparse(two_tastes)):
        scores = model.score_histories(two_tastes.histories(np.arange(40)))
        assert scores[::2, :15].min() > scores[::2, 15:].max()
        assert scores[1::2, 15:].min() > scores[1::2, :15].max()


@pytest.mark.parametrize("name", ["ease", "ease-sparse"])
def test_too_large_a_catalogue_is_refused_beforehand_and_a_way_out_is_named(two_tastes, name):
    using = algorithm(name)
    needed = using.needs_mib(two_tastes, using.parameters())
    with pytest.raises(TrainingTooLarge, match=r"needs .* MiB and may take .*ease-sparse.*limit_mib"):
        using.train(two_tastes, using.parameters(limit_mib=needed / 2), Context())
    using.train(two_tastes, using.parameters(limit_mib=needed), Context())


def test_needs_grow_with_the_square_of_items_only_in_closed_form(two_tastes):
    twice = replace(two_tastes, item_ids=tuple(f"i{i:05}" for i in range(60_000)))
    once = replace(two_tastes, item_ids=tuple(f"i{i:05}" for i in range(30_000)))
    assert ease.needs_mib(twice, EaseParameters()) > 3 * ease.needs_mib(once, EaseParameters())
    assert ease.needs_mib_sparse(twice, SparseEaseParameters()) < 2.1 * ease.needs_mib_sparse(
        once, SparseEaseParameters()
    )


@pytest.mark.parametrize("had", [0, 1])
def test_an_item_that_shares_nobody_has_no_weights(interactions_of, had):
    alone = interactions_of([[1, 1, 0], [1, 1, 0], [0, 0, had]])
    for model in (ease.train(alone), ease.train_sparse(alone)):
        assert not dense(model)[2].any()
        assert not dense(model)[:, 2].any()


@pytest.mark.parametrize("wrong", [{"regularization": 0}, {"kept": 0}, {"user_power": 2}, {"item_power": -1}])
def test_parameters_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigurationInvalid):
        EaseParameters(**wrong)
    with pytest.raises(ConfigurationInvalid):
        SparseEaseParameters(nearest=0)
