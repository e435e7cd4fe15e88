from dataclasses import replace

import numpy as np
import pytest

from models.ranker import candidates, standards_of
from models.structures.recommender import Histories
from schemas.errors import Undecodable


def histories_of(*rows):
    indptr = np.cumsum([0, *map(len, rows)])
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    ids = tuple(f"u{n}" for n in range(len(rows)))
    return Histories(ids, indptr, items, np.ones(items.size, np.float32), np.zeros(items.size))


def test_candidates_are_each_components_best_and_none_is_lost_to_the_history():
    standards = np.array([[5, 4, 3, 2, 1, 0], [0, 1, 2, 3, 4, 5]], dtype=np.float32)
    assert candidates(standards, np.array([], np.int32), 1).tolist() == [0, 5]
    assert candidates(standards, np.array([0], np.int32), 1).tolist() == [0, 1, 4, 5]


def test_candidates_come_in_the_order_of_the_trees_and_all_others_below(ranker):
    scores = ranker.score_histories(histories_of([0], [3]))
    popular = np.log1p(ranker.popularity) > ranker.trees.threshold[0]
    for row, line in zip(([0], [3]), scores, strict=True):
        told = np.isin(line, [-1.0, 2.0])
        assert line[told & popular].tolist() == [2.0] * int((told & popular).sum())
        assert told.sum() >= len(row) + 1
        assert line[~told].max(initial=-np.inf) < -1.0


def test_what_trees_say_is_added_to_the_blend_of_the_components(ranker):
    histories = histories_of([0], [3])
    of_trees, both = (replace(ranker, weights=each).score_histories(histories) for each in ([0, 0], [0.5, 2.0]))
    standards = standards_of(ranker.components, histories)
    told = np.isin(of_trees, [-1.0, 2.0])
    np.testing.assert_allclose(both[told], (of_trees + 0.5 * standards[0] + 2.0 * standards[1])[told], rtol=1e-5)


def test_a_person_is_ranked_alike_alone_and_among_others(ranker):
    together = ranker.score_histories(histories_of([0, 2], [3], [1]))
    np.testing.assert_array_equal(together[1:2], ranker.score_histories(histories_of([3])))


def test_a_stranger_is_ranked_by_the_profile(ranker):
    scores = ranker.score({"plain": 1.0, "数": 0.0, "unheard of": 1.0})
    np.testing.assert_array_equal(scores, ranker.score_histories(histories_of([0]))[0])


def test_trees_must_lead_to_leaves_and_ask_for_features_that_there_are(ranker):
    trees = ranker.trees
    for spoilt in ({"left": trees.left + 3}, {"feature": trees.feature + 99}):
        with pytest.raises(Undecodable):
            replace(ranker, trees=replace(trees, **spoilt))


def test_a_ranker_needs_components(ranker):
    with pytest.raises(Undecodable):
        replace(ranker, components=())
