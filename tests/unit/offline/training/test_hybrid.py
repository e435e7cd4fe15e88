"""A hybrid ranks items without interactions by their attributes."""

import numpy as np
import pytest

from offline.data.metadata import Metadata
from offline.training.algorithm import Context
from offline.training.factorization import hybrid
from offline.training.factorization.hybrid import HybridParameters
from schemas.catalogue import Item, Profile
from schemas.errors import ConfigurationInvalid, NothingToTrain

SMALL = HybridParameters(factors=4, ridge=0.1)


def colour(at):
    return "red" if at < 15 else "blue"


@pytest.fixture
def metadata():
    items = {f"i{at:02}": Item(item_id=f"i{at:02}", attributes={"colour": colour(at)}) for at in range(30)}
    items |= {name: Item(item_id=name, attributes={"colour": name.split()[1]}) for name in ("new blue", "new red")}
    users = {
        f"u{at:02}": Profile(user_id=f"u{at:02}", attributes={"team": ["red", "blue"][at % 2]}) for at in range(40)
    }
    return Metadata(items, users)


@pytest.fixture
def model(two_tastes, metadata):
    return hybrid.train(two_tastes, SMALL, Context(metadata=metadata))


def test_a_cold_item_is_for_those_who_like_what_says_the_same(model):
    assert model.cold_ids == ("new blue", "new red")
    for user in range(40):
        best = model.cold(model.factors.vector(f"u{user:02}"), 1).item_ids
        assert best == (("new red",) if user % 2 == 0 else ("new blue",))


def test_a_new_user_is_like_those_who_say_the_same(model):
    for team, own, other in (("red", slice(0, 15), slice(15, 30)), ("blue", slice(15, 30), slice(0, 15))):
        scores = model.score(model.fold_in({}, {"team": team}))
        assert scores[own].min() > scores[other].max()


def test_first_users_outweigh_what_an_item_says(model, metadata):
    odd = {f"u{at:02}": 5.0 for at in range(1, 40, 2)}
    blue_after_all = model.fold_in_item(odd, metadata.items["new red"])
    assert model.factors.vector("u01") @ blue_after_all > model.factors.vector("u00") @ blue_after_all


def test_only_items_that_few_had_leave_their_trained_factors(two_tastes, metadata):
    plain = hybrid.train(two_tastes, HybridParameters(factors=4, few=0), Context(metadata=metadata))
    moved = hybrid.train(two_tastes, HybridParameters(factors=4, few=12), Context(metadata=metadata))
    had = np.diff(two_tastes.matrix.tocsc().indptr)
    same = (plain.factors.item_factors == moved.factors.item_factors).all(axis=1)
    np.testing.assert_array_equal(same, had >= 12)
    assert 0 < same.sum() < 30


def test_without_attributes_of_users_a_new_one_is_the_mean(two_tastes, metadata):
    model = hybrid.train(two_tastes, SMALL, Context(metadata=Metadata(metadata.items)))
    np.testing.assert_allclose(model.user_prior({"team": "red"}), model.factors.user_factors.mean(axis=0), rtol=1e-5)


def test_without_anything_said_of_items_there_is_nothing_to_train(two_tastes):
    with pytest.raises(NothingToTrain):
        hybrid.train(two_tastes, SMALL)


def test_parameters_that_cannot_work_are_refused():
    with pytest.raises(ConfigurationInvalid):
        HybridParameters(ridge=0)
