from dataclasses import replace

import numpy as np
import pytest

from schemas.errors import Undecodable

PROFILE = {"plain": 2.0, "with/slash": 1.0, "unheard of": 9.0, "last": 0.0}
LENGTH = np.sqrt((2 * 1) ** 2 + (1 * 2) ** 2)


def test_the_nearest_are_those_who_share_most_of_what_counts(user_neighbours):
    nearest = user_neighbours.fold_in(PROFILE)
    common = 2 * 1 + 1 * 4
    assert nearest.people.tolist() == [0, 1]
    np.testing.assert_allclose(nearest.similarities, [common / (LENGTH * 2 + 1), common / (LENGTH * 3 + 1)], rtol=1e-6)


def test_a_score_is_the_sum_of_the_similarities_of_neighbours_who_have_the_item(user_neighbours):
    first, second = user_neighbours.fold_in(PROFILE).similarities
    scores = user_neighbours.score(PROFILE)
    np.testing.assert_allclose(scores, [first + second, first + second, 0, second, 0, 0], rtol=1e-6)


def test_no_more_neighbours_are_asked_than_the_width(user_neighbours):
    assert replace(user_neighbours, width=1).fold_in(PROFILE).people.tolist() == [0]


def test_nobody_is_near_an_empty_profile(user_neighbours):
    assert user_neighbours.fold_in({}).people.size == 0
    assert user_neighbours.score({"unheard of": 1.0}).tolist() == [0] * 6


def test_what_people_took_must_be_items(user_neighbours):
    with pytest.raises(Undecodable):
        replace(user_neighbours, indices=user_neighbours.indices + 3)
    with pytest.raises(Undecodable):
        replace(user_neighbours, lengths=user_neighbours.lengths * 0)
