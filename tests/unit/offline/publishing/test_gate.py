from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from models.neighbours import Neighbours
from models.structures.lists import ITEMS, USERS, ScoredList
from offline.publishing import gate
from offline.publishing.thresholds import GateThresholds, read_thresholds
from offline.training.factorization import als_single
from offline.training.lists import user_lists
from offline.training.parameters import AlsParameters
from schemas.errors import ConfigurationInvalid, ModelRefused
from schemas.offline.manifest import Manifest

LENGTH = 8


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

    def judge(als=als, lists=None, written=None, manifest=manifest, value=None, thresholds=None):
        made = dict(user_lists(als, two_tastes, LENGTH)) if lists is None else lists
        store.write(manifest, {"als": value or als.save()}, {USERS: iter(made.items())})
        lengths = {USERS: dict.fromkeys(two_tastes.user_ids, LENGTH)}
        counts = {USERS: len(made)} if written is None else written
        return gate.objections(store, manifest, counts, lengths, thresholds)

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
    assert "its factors are all zero" in judge(als=replace(als, item_factors=np.zeros_like(als.item_factors)))


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


@pytest.fixture
def against(judge, store, manifest):
    """What the gate says of a version with these metrics where one with those answers."""

    def against(own, champion, thresholds=None, **more):
        store.write(msgspec.structs.replace(manifest, metrics=champion, values=(), lists={}), {}, {})
        store.activate(manifest.version, None)
        challenger = msgspec.structs.replace(manifest, version="v2", metrics=own)
        return judge(manifest=challenger, thresholds=thresholds, **more)

    return against


def test_what_is_worse_than_the_champion_by_more_than_it_may_be_is_refused(against):
    [objection] = against({"NDCG@10": 0.26}, {"NDCG@10": 0.3})
    assert objection == "its NDCG@10 of 0.2600 is worse than the 0.3000 of v1 by more than 10% and chance"


def test_what_is_a_little_worse_than_the_champion_passes(against):
    assert against({"NDCG@10": 0.28}, {"NDCG@10": 0.3}) == []


def test_a_difference_that_may_be_chance_passes(against):
    people = {"people": 100.0}
    assert against({"NDCG@10": 0.2, **people}, {"NDCG@10": 0.3, **people}) == []


def test_a_segment_that_matters_is_looked_at_by_itself_and_one_that_does_not_is_not(against):
    fallen = {"NDCG@10": 0.3, "NDCG@10[new]": 0.1, "NDCG@10[occasional]": 0.1}
    before = {"NDCG@10": 0.3, "NDCG@10[new]": 0.3, "NDCG@10[occasional]": 0.3}
    [objection] = against(fallen, before)
    assert objection.startswith("its NDCG@10[new] of 0.1000")


def test_the_file_says_which_segments_matter_and_how_much(against):
    limits = GateThresholds(metric="HR@10", max_loss={"occasional": 0.0})
    own, before = {"NDCG@10": 0.0, "HR@10[occasional]": 0.29}, {"NDCG@10": 0.9, "HR@10[occasional]": 0.3}
    [objection] = against(own, {**before, "HR@10": 0.3}, limits)
    assert objection.startswith("its HR@10[occasional] of 0.2900 is worse than the 0.3000 of v1 by more than 0%")


def test_the_champion_is_the_newest_before_that_was_measured(judge, store, manifest):
    """An incremental training holds nothing out, so the version that answers may have no figures."""
    store.write(msgspec.structs.replace(manifest, metrics={"NDCG@10": 0.3}, values=(), lists={}), {}, {})
    store.write(msgspec.structs.replace(manifest, version="v2", parent="v1", values=(), lists={}), {}, {})
    store.activate("v2", None)
    [objection] = judge(manifest=msgspec.structs.replace(manifest, version="v3", metrics={"NDCG@10": 0.1}))
    assert "worse than the 0.3000 of v1" in objection


def test_what_recommends_far_fewer_items_than_the_champion_is_refused(against):
    [objection] = against({"coverage@10": 0.1}, {"coverage@10": 0.5, "NDCG@10": 0.3})
    assert objection == "it recommends 10.00% of the items at all, less than 50% of the 50.00% of v1"


@pytest.mark.parametrize(
    ("limits", "metrics", "said"),
    [
        ({"coverage": 0.2}, {"coverage@10": 0.1}, "it recommends 10.00% of the items at all, fewer than 20.00%"),
        ({"minimum": 0.2}, {"NDCG@10": 0.1}, "its NDCG@10 of 0.1000 is below the least of 0.2000"),
        ({"require_metric": True}, {}, "its NDCG@10 was not measured"),
    ],
)
def test_what_the_file_asks_of_every_version_is_asked_of_the_first_one_too(judge, manifest, limits, metrics, said):
    first = msgspec.structs.replace(manifest, metrics=metrics)
    assert judge(manifest=first, thresholds=GateThresholds(**limits)) == [said]


def test_neighbours_whose_scores_are_not_finite_are_refused(store, manifest):
    broken = Neighbours(("a", "b"), np.array([[1], [0]]), np.array([[0.5], [np.nan]]))
    made = msgspec.structs.replace(manifest, values=("neighbours",), lists={})
    store.write(made, {"neighbours": broken.save()}, {})
    assert gate.objections(store, made, {}, {}) == ["its neighbours have scores that are not finite"]


def test_lists_of_items_are_read_back_too(store, manifest):
    made = msgspec.structs.replace(manifest, values=(), lists={ITEMS: 1})
    store.write(made, {}, {ITEMS: iter([("i00", ScoredList(("i01",), (1.0,)).save())])})
    assert gate.objections(store, made, {ITEMS: 1}, {ITEMS: {"i00": 2}}) == [
        "the list of item 'i00' has 1 items instead of 2"
    ]


def test_admission_raises_every_objection_and_says_how_to_publish_all_the_same(store, manifest):
    store.write(manifest, {}, {})
    with pytest.raises(ModelRefused, match=r"0 of 40 lists of users.*freshet models promote v1"):
        gate.admit(store, manifest, {}, {})


def test_thresholds_are_read_from_toml_and_from_json(tmp_path):
    toml, json = tmp_path / "gate.toml", tmp_path / "gate.json"
    toml.write_text('metric = "HR@10"\nleast = 0\n[worse]\nnew = 0.3\n')
    json.write_text('{"metric": "HR@10", "least": 0, "worse": {"new": 0.3}}')
    expected = GateThresholds(metric="HR@10", minimum=0.0, max_loss={"new": 0.3})
    assert read_thresholds(toml) == read_thresholds(json) == expected
    assert read_thresholds(None) == GateThresholds()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("worse = 3", "Expected `object`"),
        ("sampel = 3", "unknown field `sampel`"),
        ("sample = 0", "sample is at least 1"),
        ("[worse]\nnew = 3.0", "worse.new is a share from 0 to 1, not 3"),
        ("this is no TOML", "Expected '='"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_what_is_wrong(tmp_path, text, said):
    (tmp_path / "gate.toml").write_text(text)
    with pytest.raises(ConfigurationInvalid, match=f"FRESHET_GATE.*gate.toml.*{said}"):
        read_thresholds(tmp_path / "gate.toml")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationInvalid, match=r"missing\.toml cannot be read: No such file"):
        read_thresholds(tmp_path / "missing.toml")
