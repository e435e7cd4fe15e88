import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from models.structures.lists import ScoredList
from offline.training import popularity
from offline.training.factorization import als_single
from offline.training.lists import item_lists, user_lists
from offline.training.neighbourhood import neighbours
from offline.training.parameters import AlsParameters, NeighbourParameters
from schemas.errors import ConfigurationInvalid

SMALL = AlsParameters(factors=8, iterations=6)


def test_als_learns_who_likes_what(two_tastes):
    als = als_single.train(two_tastes, AlsParameters(factors=2, iterations=6))
    scores = als.user_factors @ als.item_factors.T
    for user in range(40):
        own, other = (slice(0, 15), slice(15, 30)) if user % 2 == 0 else (slice(15, 30), slice(0, 15))
        assert scores[user, own].min() > scores[user, other].max()


def test_a_users_vector_is_what_folding_in_their_interactions_gives(two_tastes):
    als = als_single.train(two_tastes, SMALL)
    for row in (0, 7, 39):
        line = two_tastes.matrix[row]
        profile = {two_tastes.item_ids[column]: float(w) for column, w in zip(line.indices, line.data, strict=True)}
        np.testing.assert_allclose(als.fold_in(profile), als.vector(f"u{row:02}"), atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_do_not_change_the_model(two_tastes, threads):
    with threadpool_limits(threads, user_api="blas"):
        als = als_single.train(two_tastes, SMALL, threads)
    assert als.save() == als_single.train(two_tastes, SMALL, threads=1).save()


def test_another_seed_is_another_model(two_tastes):
    other = AlsParameters(factors=8, iterations=6, seed=1)
    assert als_single.train(two_tastes, SMALL).save() != als_single.train(two_tastes, other).save()


def test_the_unit_of_weights_does_not_matter(two_tastes, interactions_of):
    tenfold = interactions_of(two_tastes.matrix.toarray() * 10)
    np.testing.assert_allclose(
        als_single.train(tenfold, SMALL).user_factors, als_single.train(two_tastes, SMALL).user_factors, atol=1e-3
    )


def test_training_says_how_far_it_is(two_tastes):
    steps = []
    als_single.train(two_tastes, SMALL, progress=lambda *step: steps.append(step))
    assert steps == [("training als", done, 6) for done in range(1, 7)]


def test_parameters_that_cannot_work_are_refused():
    with pytest.raises(ConfigurationInvalid):
        AlsParameters(factors=0)
    with pytest.raises(ConfigurationInvalid):
        NeighbourParameters(shrinkage=-1)


def test_neighbours_are_by_shrunk_cosine_of_who_had_them(interactions_of):
    model = neighbours.train(
        interactions_of([[1, 9, 0, 0], [1, 2, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]), NeighbourParameters(shrinkage=2)
    )
    assert list(model.similar("i00", 10)) == [
        ("i01", pytest.approx(2 / (np.sqrt(2 * 3) + 2), rel=1e-6)),
        ("i02", pytest.approx(1 / (np.sqrt(2 * 1) + 2), rel=1e-6)),
    ]
    assert len(model.similar("i03", 10)) == 0


def test_neighbours_are_cut_to_the_best_and_the_same_in_blocks(two_tastes, monkeypatch):
    whole = neighbours.train(two_tastes, NeighbourParameters(width=4))
    monkeypatch.setattr(neighbours, "_BLOCK", 7)
    assert neighbours.train(two_tastes, NeighbourParameters(width=4)).save() == whole.save()
    wide = neighbours.train(two_tastes, NeighbourParameters(width=29))
    assert whole.similar("i03", 4).item_ids == wide.similar("i03", 4).item_ids


def test_popularity_is_the_sum_of_weights(interactions_of):
    model = popularity.train(interactions_of([[1, 2, 0], [1, 0, 0.5]]))
    assert model.scores.tolist() == [2, 2, 0.5]


def test_a_users_list_is_the_best_of_what_they_have_not_met(two_tastes):
    als = als_single.train(two_tastes, SMALL)
    lists = {user: ScoredList.load(data) for user, data in user_lists(als, two_tastes, 8)}
    assert list(lists) == list(two_tastes.user_ids)
    for row, user in enumerate(two_tastes.user_ids):
        scores = dict(zip(als.item_ids, als.score(als.vector(user)).tolist(), strict=True))
        unseen = [item for column, item in enumerate(als.item_ids) if not two_tastes.matrix[row, column]]
        assert list(lists[user].item_ids) == sorted(unseen, key=scores.get, reverse=True)[:8]
        assert lists[user].scores == pytest.approx([scores[item] for item in lists[user].item_ids], rel=1e-5)


def test_lists_are_the_same_in_blocks_of_any_size(two_tastes, monkeypatch):
    als = als_single.train(two_tastes, SMALL)
    whole = [(user, ScoredList.load(data).item_ids) for user, data in user_lists(als, two_tastes, 8)]
    monkeypatch.setattr("offline.training.lists.CELLS", 90)
    assert [(user, ScoredList.load(data).item_ids) for user, data in user_lists(als, two_tastes, 8)] == whole


def test_guests_teach_but_have_no_lists(two_tastes, interactions_of):
    some = interactions_of(two_tastes.matrix.toarray(), guests={0, 5})
    lists = dict(user_lists(als_single.train(some, SMALL), some, 8))
    assert len(lists) == 38
    assert "u00" not in lists


def test_who_has_met_everything_has_an_empty_list(interactions_of):
    some = interactions_of([[1, 1, 1], [1, 0, 0]])
    lists = {user: ScoredList.load(data) for user, data in user_lists(als_single.train(some, SMALL), some, 8)}
    assert len(lists["u00"]) == 0
    assert set(lists["u01"].item_ids) == {"i01", "i02"}


def test_items_without_neighbours_have_no_list(interactions_of):
    model = neighbours.train(interactions_of([[1, 1, 0], [0, 0, 1]]))
    assert [item for item, _ in item_lists(model, 5)] == ["i00", "i01"]
