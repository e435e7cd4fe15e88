from dataclasses import replace

import numpy as np
import pytest

from offline.data.metadata import Metadata
from offline.evaluation import segments as module
from offline.evaluation.ranking_metrics import ranked
from offline.evaluation.segments import by_history, segment_metrics, segments
from offline.evaluation.task import Questions, SealedTest
from schemas.catalogue import Item, Profile


@pytest.fixture(autouse=True)
def small_segments_count(monkeypatch):
    monkeypatch.setattr(module, "LEAST", 1)


@pytest.fixture
def training(interactions_of):
    """Item 0 is everybody's; item 3 came last."""
    made = interactions_of([[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]])
    return replace(made, times=np.array([0.0, 10.0, 1.0, 20.0, 2.0, 100.0]))


def parts(training, metadata, targets, unknown=(0, 0, 0)):
    columns = [np.array(each, dtype=np.intp) for each in targets]
    described = SealedTest(Questions(training, np.arange(3), columns, unknown)).describe()
    ranks = ranked(np.arange(1.0, 1 + each.size + more) for each, more in zip(columns, unknown, strict=True))
    masks = segments(described, ranks, training, metadata)
    return segment_metrics(ranks, masks, (10,)), ranks


def test_people_are_new_occasional_or_long_term():
    found = by_history(np.array([9, 10, 49, 50]))
    assert {name: mask.tolist() for name, mask in found.items()} == {
        "new": [True, False, False, False],
        "occasional": [False, True, True, False],
        "long-term": [False, False, False, True],
    }


def test_users_attributes_and_postcodes_make_segments(training):
    users = {
        "u00": Profile(user_id="u00", attributes={"age_group": "25-34", "postcode_area": "941"}),
        "u01": Profile(user_id="u01", attributes={"age_group": "25-34", "postcode_area": "100"}),
        "u02": Profile(user_id="u02", attributes={"age_group": "65+"}),
    }
    found, _ = parts(training, Metadata({}, users), [[2], [1], [1]])
    assert found["age: 25-34"].questions == 2
    assert {name for name in found if name.startswith("region")} == {"region: 9", "region: 1"}


def test_a_region_that_is_said_goes_before_a_postcode(training):
    users = {"u00": Profile(user_id="u00", attributes={"region": "north", "postcode_area": "941"})}
    found, _ = parts(training, Metadata({}, users), [[2], [1], [1]])
    assert [name for name in found if name.startswith("region")] == ["region: north"]


def test_right_items_are_told_apart_by_age_popularity_and_category(training):
    items = {"i03": Item(item_id="i03", categories=("late",)), "i01": Item(item_id="i01", categories=("early",))}
    found, _ = parts(training, Metadata(items, {}), [[2, 3], [1], [1]], unknown=(0, 0, 1))
    assert found["items: new"].questions == 1
    assert found["items: new"].metrics["MRR@10"] == 0.5
    assert found["items: old"].questions == 3
    assert found["items: never met in training"].questions == 1
    assert found["category: early"].questions == 2
    assert found["category: late"].questions == 1
    assert "items: popular" not in found


def test_segments_of_people_make_up_the_whole(training):
    found, ranks = parts(training, Metadata(), [[2], [1], [1]])
    assert sum(found[name].questions for name in found if name.startswith("users: ")) == ranks.questions
