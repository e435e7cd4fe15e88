"""Popularity by window, segment and category, compared with a plain loop."""

from dataclasses import replace

import numpy as np
import pytest

from offline.data.metadata import Metadata
from offline.training import popularity
from offline.training.popularity import PopularityParameters
from schemas.catalogue import Item, Profile
from schemas.errors import ConfigurationInvalid

DAY = 86_400.0
PARAMETERS = PopularityParameters(days=(2.0, 10.0), segments=("age",), least=3)


@pytest.fixture
def timed(two_tastes):
    random = np.random.default_rng(2)
    return replace(two_tastes, times=1e9 + random.integers(0, 20, two_tastes.matrix.nnz) * DAY)


@pytest.fixture
def metadata(two_tastes):
    items = {
        f"i{at:02}": Item(item_id=f"i{at:02}", categories=("tea",) if at % 3 else ("tea", "cup")) for at in range(29)
    }
    users = {
        f"u{at:02}": Profile(user_id=f"u{at:02}", attributes={"age": at % 4, "secret": at % 2}) for at in range(38)
    }
    return Metadata(items, users)


def counted(interactions, of_user=lambda _: True, of_item=lambda _: True, since=-np.inf):
    entries = interactions.matrix.tocoo()
    sums = dict.fromkeys(interactions.item_ids, 0.0)
    for row, column, weight, at in zip(entries.row, entries.col, entries.data, interactions.times, strict=True):
        if of_user(row) and of_item(column) and at > since:
            sums[interactions.item_ids[column]] += float(weight)
    return {item: total for item, total in sums.items() if total > 0}


def test_segments_windows_and_categories_are_counted(timed, metadata):
    model = popularity.train(timed, PARAMETERS, metadata)
    newest = timed.times.max()
    for age in range(4):
        found = dict(model.top(30, segment=f"age={age}", days=10))
        assert found == counted(timed, lambda row, age=age: row % 4 == age and row < 38, since=newest - 10 * DAY)
    assert dict(model.top(30, days=2)) == counted(timed, since=newest - 2 * DAY)
    assert dict(model.top(30, category="cup")) == counted(timed, of_item=lambda column: column % 3 == 0 and column < 29)


def test_everybodys_scores_can_be_of_the_last_days(timed):
    model = popularity.train(timed, PopularityParameters(window=10.0))
    wanted = counted(timed, since=timed.times.max() - 10 * DAY)
    assert dict(zip(model.item_ids, model.scores.tolist(), strict=True)) == {
        **dict.fromkeys(model.item_ids, 0),
        **wanted,
    }


def test_only_named_attributes_and_segments_of_enough_people_have_boards(timed, metadata):
    model = popularity.train(timed, replace(PARAMETERS, least=10), metadata)
    # Of 38 people, ages 0 and 1 have ten each and the others nine.
    assert {name.split(",")[0] for name in model.boards} == {"last 2 days", "last 10 days", "age=0", "age=1"}


def test_without_times_there_are_no_windows(two_tastes):
    assert popularity.train(two_tastes).boards == ()
    np.testing.assert_array_equal(
        popularity.train(two_tastes, PopularityParameters(window=1.0)).scores, popularity.train(two_tastes).scores
    )


def test_parameters_that_cannot_work_are_refused():
    with pytest.raises(ConfigurationInvalid):
        PopularityParameters(days=(7.0, 0.0))
