"""Users are taken out of stored models."""

from __future__ import annotations

import numpy as np

from models.als import Als
from models.blend import Blend
from models.hybrid import Hybrid
from models.popularity import Popularity
from models.structures.components import Component
from models.structures.erasing import without_users


def test_only_the_rows_of_the_named_users_are_gone(als):
    left = Als.load(without_users(als.save(), ["u:1", "u:4", "nobody"]) or b"")
    assert left.user_ids == ("u:0", "u:2", "u:3")
    np.testing.assert_array_equal(left.user_factors, als.user_factors[[0, 2, 3]])
    np.testing.assert_array_equal(left.item_factors, als.item_factors)


def test_a_model_that_does_not_know_the_user_is_left_as_it_is(model):
    assert without_users(model.save(), ["nobody"]) is None


def test_a_model_that_is_made_of_others_loses_the_user_in_each(als, popularity):
    inner = Blend((Component("als", als), Component("popularity", popularity)), np.array([0.5, 0.5]))
    outer = Blend((Component("blend", inner), Component("popularity", popularity)), np.array([0.5, 0.5]))
    left = Blend.load(without_users(outer.save(), ["u:1"]) or b"")
    assert left.components[0].model.components[0].model.user_ids == ("u:0", "u:2", "u:3", "u:4")


def test_a_hybrid_loses_the_user(hybrid):
    erased = hybrid.factors.user_ids[0]
    left = Hybrid.load(without_users(hybrid.save(), [erased]) or b"")
    assert left.factors.user_ids == hybrid.factors.user_ids[1:]
    assert left.user_terms == hybrid.user_terms


def test_ids_that_begin_like_a_stored_model_are_no_model():
    odd = Popularity(("PK\x03\x04", "another"), np.array([1, 2]))
    assert without_users(odd.save(), ["u:1"]) is None
