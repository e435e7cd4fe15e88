from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from adapters.sqlite_models import SqliteModelStore
from models.lists import USERS, ScoredList
from offline import gate
from offline.training import als_single
from offline.training.lists import user_lists
from offline.training.parameters import AlsParameters
from schemas.manifest import Manifest

LENGTH = 8


@pytest.fixture
def store(tmp_path):
    store = SqliteModelStore(tmp_path)
    yield store
    store.close()


@pytest.fixture
def als(two_tastes):
    return als_single.train(two_tastes, AlsParameters(factors=4, iterations=3))


@pytest.fixture
def manifest(two_tastes):
    return Manifest(
        version="v1", created_at=datetime(2026, 1, 1, tzinfo=UTC), algorithm="als", engine="single", parameters={},
        window=two_tastes.window, offsets={}, values=("als",), lists={USERS: 40},
    )  # fmt: skip


@pytest.fixture
def judge(store, two_tastes, als, manifest):
    """What the gate says of a version, after one thing about it was changed."""

    def judge(als=als, lists=None, written=None, manifest=manifest, value=None):
        made = dict(user_lists(als, two_tastes, LENGTH)) if lists is None else lists
        store.write(manifest, {"als": value or als.save()}, {USERS: iter(made.items())})
        lengths = dict.fromkeys(two_tastes.user_ids, LENGTH)
        return gate.objections(store, manifest, {USERS: len(made)} if written is None else written, lengths)

    return judge


def test_a_whole_version_passes(judge):
    assert judge() == []


def test_factors_that_are_not_finite_are_refused(judge, als):
    broken = als.item_factors.copy()
    broken[3, 1] = np.nan
    assert (
        judge(als=replace(als, item_factors=broken), lists={}, written={USERS: 40})[0] == "its factors are not finite"
    )


def test_factors_that_are_all_zero_are_refused(judge, als):
    assert "its item factors are all zero" in judge(als=replace(als, item_factors=np.zeros_like(als.item_factors)))


def test_factors_that_cannot_be_read_back_are_refused(judge):
    [objection] = judge(value=b"not factors")
    assert objection.startswith("its factors cannot be read back")


def test_too_few_lists_are_refused(judge):
    assert "it has 39 of 40 lists of users" in judge(written={USERS: 39})


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (None, "is missing"),
        (b"junk", "cannot be read back"),
        (ScoredList(("i00",), (1.0,)).save(), "has 1 items instead of 8"),
        (ScoredList(("i00",) * 8, (1.0,) * 8).save(), "has 1 items instead of 8"),
        (ScoredList(tuple("abcdefgh"), tuple(range(8))).save(), "is not in order"),
        (ScoredList(tuple("abcdefgh"), (float("nan"),) * 8).save(), "is not in order"),
    ],
)
def test_a_list_that_is_not_right_is_refused(judge, als, two_tastes, spoilt, said):
    lists = dict(user_lists(als, two_tastes, LENGTH))
    if spoilt is None:
        del lists["u07"]
    else:
        lists["u07"] = spoilt
    [objection] = judge(lists=lists, written={USERS: 40})
    assert objection.startswith(f"the list of user 'u07' {said}")


@pytest.fixture
def worse(manifest):
    return msgspec.structs.replace(manifest, version="v2", metrics={"NDCG@10": 0.1, "popularity NDCG@10": 0.1})


def test_what_is_no_better_than_popularity_is_refused_where_something_else_answers(judge, store, manifest, worse):
    store.write(manifest, {}, {})
    store.activate(manifest.version, None)
    assert judge(manifest=worse) == ["its NDCG@10 of 0.1000 is no better than popularity's 0.1000"]


def test_without_a_champion_anything_is_better_than_nothing(judge, worse):
    assert judge(manifest=worse) == []
