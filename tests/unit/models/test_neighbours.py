from dataclasses import replace

import numpy as np
import pytest

from schemas.errors import Undecodable


def test_neighbours_come_best_first(neighbours):
    assert list(neighbours.similar("plain", 10)) == [("with/slash", pytest.approx(0.9)), ("Überraschung", 0.5)]


def test_no_more_are_given_than_asked_for_or_there_are(neighbours):
    assert neighbours.similar("plain", 1).item_ids == ("with/slash",)
    assert neighbours.similar("数", 10).item_ids == ("with/slash",)
    assert len(neighbours.similar("e\N{COMBINING ACUTE ACCENT}", 10)) == 0


def test_nothing_is_near_an_unknown_item(neighbours):
    assert len(neighbours.similar("unheard of", 3)) == 0


def test_a_profile_scores_the_weighted_sum_over_its_items_neighbours(neighbours):
    scores = neighbours.score({"plain": 2.0, "last": 4.0, "unheard of": 100.0})
    np.testing.assert_allclose(scores, [3.0, 2 * 0.9 + 4 * 0.125, 1.0, 0, 0, 0], rtol=1e-6)


def test_an_empty_profile_scores_nothing(neighbours):
    assert neighbours.score({}).tolist() == [0] * 6


def test_a_neighbour_must_be_one_of_the_items(neighbours):
    indices = neighbours.indices.copy()
    indices[0, 0] = 6
    with pytest.raises(Undecodable):
        replace(neighbours, indices=indices)
