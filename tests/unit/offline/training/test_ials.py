from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from offline.training.factorization import ials
from offline.training.factorization.ials import IalsParameters
from schemas.errors import ConfigurationInvalid

SMALL = IalsParameters(factors=6, iterations=4)


def written_out(factors, extra, penalties):
    """Each row's system over all columns in float64: (YᵀCY + λ)⁻¹ Yᵀ C p."""
    wide, rows = factors.astype(np.float64), extra.toarray().astype(np.float64)
    solved = [
        np.linalg.solve(
            wide.T @ ((1 + row)[:, None] * wide) + penalty * np.eye(wide.shape[1]), wide.T @ ((row > 0) * (1 + row))
        )
        for row, penalty in zip(rows, penalties, strict=True)
    ]
    return np.array(solved)


def profile_of(interactions, row):
    line = interactions.matrix[row]
    return {interactions.item_ids[i]: w for i, w in zip(line.indices.tolist(), line.data.tolist(), strict=True)}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), users=st.integers(1, 12), items=st.integers(1, 14), d=st.integers(1, 9))
def test_a_half_step_solves_every_row_exactly_however_long_it_is(seed, users, items, d):
    random = np.random.default_rng(seed)
    extra = sp.csr_matrix(random.choice([0.0, 0.0, 1.0, 4.0], size=(users, items)).astype(np.float32))
    side = ials._Side(extra, (0.1 + random.random(users)).astype(np.float32))
    factors = random.normal(size=(items, d)).astype(np.float32)
    expected = written_out(factors, side.extra, side.penalties)
    np.testing.assert_allclose(ials.half_step(factors, side), expected, rtol=5e-3, atol=5e-4)


def test_a_users_factors_are_what_fold_in_gives(two_tastes):
    als = ials.train(two_tastes, SMALL)
    for row in (0, 7, 39):
        np.testing.assert_allclose(
            als.fold_in(profile_of(two_tastes, row)), als.user_factors[row], rtol=1e-3, atol=1e-5
        )


def test_an_items_factors_solve_what_fold_in_of_an_item_solves(two_tastes):
    als = ials.train(two_tastes, SMALL)
    side = ials._side((two_tastes.matrix * np.float32(als.alpha)).T.tocsr(), als.per_interaction, SMALL)
    column = two_tastes.matrix[:, 3].tocoo()
    first = {two_tastes.user_ids[row]: w for row, w in zip(column.row.tolist(), column.data.tolist(), strict=True)}
    solved = ials.half_step(als.user_factors, side)[3]
    np.testing.assert_allclose(als.fold_in_item(first), solved, rtol=1e-3, atol=1e-5)


def test_what_people_like_is_learned(two_tastes):
    als = ials.train(two_tastes, replace(SMALL, factors=2))
    scores = als.user_factors @ als.item_factors.T
    assert all(scores[user, :15].min() > scores[user, 15:].max() for user in range(0, 40, 2))


def test_training_is_the_same_however_many_threads(two_tastes, monkeypatch):
    monkeypatch.setattr(ials, "_CELLS", 400)
    assert ials.train(two_tastes, SMALL, threads=3).save() == ials.train(two_tastes, SMALL, threads=1).save()


def test_another_unit_of_weights_changes_nothing(two_tastes):
    tenfold = replace(two_tastes, matrix=two_tastes.matrix * np.float32(10))
    np.testing.assert_allclose(
        ials.train(tenfold, SMALL).user_factors, ials.train(two_tastes, SMALL).user_factors, atol=1e-4
    )


def test_someone_without_interactions_has_no_factors(interactions_of):
    als = ials.train(interactions_of([[1, 0], [0, 0], [1, 1]]), SMALL)
    assert not als.user_factors[1].any()
    assert als.user_factors[0].any()


def loss(als, interactions, parameters):
    """What is minimized, in units of α₀."""
    extra = als.alpha * interactions.matrix.toarray().astype(np.float64)
    scores = als.user_factors.astype(np.float64) @ als.item_factors.T.astype(np.float64)
    fit = ((1 + extra) * ((extra > 0) - scores) ** 2).sum()
    sizes = (extra > 0).sum(axis=1), (extra > 0).sum(axis=0)
    per = parameters.strength / parameters.pair_weight(interactions.matrix)
    users, items = extra.shape
    penalty = (per * sizes[0] + parameters.strength * items) @ (als.user_factors.astype(np.float64) ** 2).sum(axis=1)
    penalty += (per * sizes[1] + parameters.strength * users) @ (als.item_factors.astype(np.float64) ** 2).sum(axis=1)
    return fit + penalty


def test_every_epoch_brings_the_loss_down(two_tastes):
    losses = []
    for epochs in range(1, 6):
        chosen = IalsParameters(factors=6, iterations=epochs)
        losses.append(loss(ials.train(two_tastes, chosen), two_tastes, chosen))
    assert losses == sorted(losses, reverse=True)


def test_going_on_from_an_earlier_version_gets_further_than_beginning_anew(two_tastes):
    chosen = IalsParameters(factors=6, iterations=30, warm_iterations=1)
    before = ials.train(two_tastes, chosen)
    matrix = two_tastes.matrix.toarray()
    matrix[:4, 20:25] = 1.0
    after = replace(two_tastes, matrix=type(two_tastes.matrix)(matrix))
    warm = loss(ials.train(after, chosen, previous=before), after, chosen)
    assert warm < loss(ials.train(after, replace(chosen, iterations=1)), after, chosen)


def test_an_earlier_version_may_know_other_items(two_tastes, interactions_of):
    few = interactions_of(two_tastes.matrix.toarray()[:, :10])
    als = ials.train(two_tastes, SMALL, previous=ials.train(few, SMALL))
    assert np.isfinite(als.item_factors).all()


def test_parameters_that_cannot_work_are_refused():
    with pytest.raises(ConfigurationInvalid, match="above 0"):
        IalsParameters(strength=0.0)
