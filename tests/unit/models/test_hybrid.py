import numpy as np
import pytest

from schemas.catalogue import Item

NEW = Item(item_id="new", categories=("tea",))


def test_an_item_that_nobody_had_has_the_factors_of_what_it_says(hybrid):
    np.testing.assert_allclose(hybrid.item_prior(NEW), hybrid.item_mean + hybrid.item_slopes[0], rtol=1e-6)


def test_an_item_that_says_nothing_known_has_the_mean(hybrid):
    np.testing.assert_array_equal(hybrid.item_prior(Item(item_id="new")), hybrid.item_mean)


def test_first_users_move_an_item_from_what_it_says(hybrid):
    prior = hybrid.item_prior(NEW)
    np.testing.assert_array_equal(hybrid.fold_in_item({}, NEW), prior)
    first = {"u:1": 1.0, "u:3": 2.0}
    np.testing.assert_array_equal(hybrid.fold_in_item(first, NEW), hybrid.factors.fold_in_item(first, prior))
    missing = abs(1 - hybrid.factors.vector("u:3") @ prior)
    assert abs(1 - hybrid.factors.vector("u:3") @ hybrid.fold_in_item(first, NEW)) < missing


def test_a_user_without_interactions_has_the_factors_of_their_attributes(hybrid):
    wanted = hybrid.user_mean + hybrid.user_slopes[0] + hybrid.user_slopes[1]
    attributes = {"age": 25, "region": "North", "unheard": "of"}
    np.testing.assert_allclose(hybrid.fold_in({}, attributes), wanted, rtol=1e-6)
    assert hybrid.fold_in({}).tolist() == [0] * 4


def test_attributes_and_interactions_count_together(hybrid):
    prior = hybrid.user_prior({"age": 25})
    np.testing.assert_array_equal(
        hybrid.fold_in({"plain": 1.0}, {"age": 25}), hybrid.factors.fold_in({"plain": 1.0}, prior)
    )


def test_items_that_nobody_had_are_scored_by_their_factors(hybrid):
    vector = np.array([1.0, 0, 0, 0], dtype=np.float32)
    assert list(hybrid.cold(vector, 5)) == [("cold 2", 3.0), ("cold 1", pytest.approx(0.5))]
