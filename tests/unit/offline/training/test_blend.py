"""A blend learns its weights from a validation slice."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.structures.kinds import load_model
from offline.data.splits import inner
from offline.evaluation.ranking_metrics import rank
from offline.training.algorithm import Context
from offline.training.blending import blend
from offline.training.blending.blend import BlendParameters
from offline.training.registry import algorithm
from schemas.errors import ConfigurationInvalid, NothingToTrain

PARTS = BlendParameters(components=("ease", "popularity"))


def trained(interactions, parameters=PARTS, **context):
    return algorithm("blend").train(interactions, parameters, Context(threads=1, **context))


def contest_of(wanted, others):
    people = np.arange(len(wanted))
    return blend._Contest(people, np.array(wanted, dtype=np.float32), np.array(others, dtype=np.float32))


def test_a_component_that_foresees_what_was_held_out_gets_all_the_weight():
    # The first ranks every held-out item first, the second last.
    contest = contest_of([[2, -2], [3, -3]], [[[0, 0], [1, 1]], [[0, 2], [1, 3]]])
    weights = blend.learned(contest)
    assert blend._gain(contest, np.array(weights)) == 1.0
    assert weights[0] > weights[1]


def test_two_that_are_right_of_different_people_are_blended():
    # Each is right of one person and only a little wrong of the other.
    contest = contest_of([[3, 0], [0, 3]], [[[0, 0.5]], [[0.5, 0]]])
    weights = blend.learned(contest)
    assert min(weights) > 0
    assert blend._gain(contest, np.array(weights)) == 1.0


@given(
    arrays(np.float32, (4, 3), elements=st.floats(-3, 3, width=16)),
    arrays(np.float32, (4, 5, 3), elements=st.floats(-3, 3, width=16)),
)
def test_weights_are_shares_and_never_worse_than_any_component_alone(wanted, others):
    contest = contest_of(wanted, others)
    weights = np.array(blend.learned(contest))
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    for alone in np.eye(3):
        assert blend._gain(contest, weights) >= blend._gain(contest, alone)


def contest_on(interactions, parameters):
    part, held = inner(interactions, users=40, seed=3, share=parameters.share)
    models = [algorithm(name).train(part, algorithm(name).parameters(), Context()) for name in parameters.components]
    return part, held, models, blend._contest(part, held, models, parameters)


def test_several_held_out_items_of_a_person_compete_with_all_others_but_not_with_each_other(two_tastes):
    part, held, _, contest = contest_on(two_tastes, replace(PARTS, share=0.4, depth=30))
    rows = [row for row in held.rows.tolist() if held.known[row].size]
    assert np.bincount(contest.people).tolist() == [held.known[row].size for row in rows]
    assert contest.people.size > len(rows)
    free = [30 - held.known[row].size - part.matrix[row].nnz for row in rows]
    assert np.isfinite(contest.others[:, :, 0]).sum(axis=1).tolist() == free


def test_a_person_with_many_held_out_items_counts_as_much_as_another():
    # One is right of the first person's two items, the other of the second person's only one.
    wanted = np.array([[3, 0], [3, 0], [0, 3]], dtype=np.float32)
    contest = blend._Contest(np.array([0, 0, 1]), wanted, np.ones((2, 9, 2), dtype=np.float32))
    assert blend._gain(contest, np.array([1.0, 0.0])) == pytest.approx(blend._gain(contest, np.array([0.0, 1.0])))


def test_where_a_sample_is_ranked_so_many_free_items_compete(two_tastes):
    _, _, _, contest = contest_on(two_tastes, replace(PARTS, sampled=4))
    assert contest.others.shape[1] == 4
    assert np.isfinite(contest.others).all()


def test_held_out_items_meet_the_rank_that_they_have_among_all(two_tastes):
    part, held, models, contest = contest_on(two_tastes, replace(PARTS, depth=30))
    weights = np.array([0.6, 0.4])
    rows = np.array([row for row in held.rows.tolist() if held.known[row].size])
    scores = sum(
        weight * blend.standard(model.score_histories(part.histories(rows)))
        for weight, model in zip(weights, models, strict=True)
    )
    scores[part.matrix[rows].toarray() > 0] = -np.inf
    ranks = [rank(line, held.known[row])[0] for line, row in zip(scores, rows.tolist(), strict=True)]
    assert blend._gain(contest, weights) == pytest.approx(np.mean(1 / np.log2(1 + np.array(ranks))), abs=1e-6)


def test_components_are_trained_on_everything_and_kept_by_name(two_tastes):
    model = trained(two_tastes)
    for each in model.components:
        using = algorithm(each.name)
        assert each.model.save() == using.train(two_tastes, using.parameters(), Context(threads=1)).save()
    assert model.weights.sum() == pytest.approx(1)
    assert load_model(model.save()).save() == model.save()


def test_a_component_of_no_weight_is_left_out(two_tastes, monkeypatch):
    monkeypatch.setattr(blend, "learned", lambda _: (0.0, 1.0))
    assert [each.name for each in trained(two_tastes).components] == ["popularity"]


def test_the_same_seed_gives_the_same_blend(two_tastes):
    assert trained(two_tastes).save() == trained(two_tastes).save()


def test_settings_reach_the_component_that_they_name(two_tastes):
    settings = {"ease": {"whole": 0, "kept": 2}}
    model = trained(two_tastes, BlendParameters(components=("ease",), settings=settings))
    assert np.diff(model.components[0].model.indptr).tolist() == [2] * 30


def test_what_is_needed_is_what_its_components_need(two_tastes):
    using = algorithm("ease")
    assert blend.needs_mib(two_tastes, PARTS) == using.needs_mib(two_tastes, using.parameters())


def test_a_blend_that_cannot_be_trained_is_refused_by_name(two_tastes, interactions_of):
    for wrong in (
        {"components": ()},
        {"components": ("ease", "ease")},
        {"components": ("blend",)},
        {"people": 0},
        {"share": 1.0},
    ):
        with pytest.raises(ConfigurationInvalid):
            BlendParameters(**wrong)
    with pytest.raises(ConfigurationInvalid, match="not an algorithm"):
        trained(two_tastes, BlendParameters(components=("no such",)))
    with pytest.raises(ConfigurationInvalid, match="ease cannot be blended"):
        trained(two_tastes, BlendParameters(components=("ease",), settings={"ease": {"unheard_of": 1}}))
    with pytest.raises(NothingToTrain):
        trained(interactions_of([[1, 1], [1, 0]]))
