import gzip
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from offline.data.metadata import Metadata
from offline.data.splits import by_people, last_of_each, people, thinned
from offline.evaluation.compare import Plan, compare_on
from offline.evaluation.protocols import Gathered, SplitOptions, load, recognised, split
from offline.evaluation.published_splits import load_sessions
from schemas.errors import ConfigurationInvalid, DatasetUnknown, NothingToTrain


def table(rows):
    """Of (user, item, first, latest)."""
    users, items, first, at = (list(column) for column in zip(*rows, strict=True))
    size = len(rows)
    return pa.table(
        {"user": users, "item": items, "weight": [1.0] * size, "first_at": first, "at": at, "events": [1] * size}
    )


def gathered(rows, *, timed=True):
    """A data set whose past is what its rows say of it."""

    def until(moment):
        return table([(user, item, first, min(at, moment)) for user, item, first, at in rows if first <= moment])

    return Gathered("made", table(rows), Metadata(), until, timed)


@pytest.fixture
def everyday():
    """Twelve people, each with another item every day for ten days, item 0 again and again."""
    rows = [
        (f"u:{user}", f"i{(user + day) % 14:02}", float(day), float(day)) for user in range(12) for day in range(10)
    ]
    return [*rows, ("u:0", "again", 1.0, 9.0), ("u:late", "i00", 9.0, 9.0)]


def test_a_split_by_time_learns_from_nothing_that_came_later(everyday):
    task = split(gathered(everyday), "time")
    assert task.training.times.max() <= 7.0
    assert "again" in task.training.item_ids
    described = task.test.describe()
    assert "late" not in described.user_ids
    assert "left out" in task.notes
    later = {(user, item) for user, item, first, _ in everyday if first > 7.0}
    names = [task.training.item_ids[column] for column in described.columns.tolist() if column >= 0]
    assert set(names) <= {item for _, item in later}
    assert "again" not in names


def test_events_without_times_cannot_be_split_by_time(everyday):
    with pytest.raises(ConfigurationInvalid, match="use --protocol leave-last"):
        split(gathered(everyday, timed=False), "time")


def test_the_last_items_of_each_are_left_out(everyday):
    task = split(gathered(everyday), "leave-last", SplitOptions(last=2))
    assert task.test.size == 12
    rows = task.training.user_ids.index("3")
    history = task.training.histories(np.array([rows]))
    assert history.times.max() == 7.0
    assert history.items.size == 8


def test_without_times_the_left_out_items_are_random_and_the_same_each_time(everyday):
    one, other = (split(gathered(everyday, timed=False), "leave-last") for _ in range(2))
    np.testing.assert_array_equal(one.test.describe().columns, other.test.describe().columns)
    assert one.training.times is None


def test_people_held_out_are_not_learned_from(everyday):
    task = split(gathered(everyday), "users", SplitOptions(share=0.25, shown=0.5))
    asked = task.test.describe()
    assert task.test.size == 3
    assert not set(asked.user_ids) & set(task.training.user_ids)
    assert asked.interactions.item_ids == task.training.item_ids
    [row] = compare_on(task, Plan(names=["neighbours"])).rows
    assert row.failed is None
    assert row.metrics["Recall@10"] > 0


def test_what_a_person_shows_and_is_asked_for_has_nothing_in_common(two_tastes):
    rows = people(two_tastes, 0.2)
    training, shown, asked = by_people(two_tastes, rows, 0.7)
    assert len(training.user_ids) == 32
    for row in asked.rows.tolist():
        own = shown.matrix.indices[shown.matrix.indptr[row] : shown.matrix.indptr[row + 1]]
        assert not set(own.tolist()) & set(asked.known[row].tolist())
        assert own.size + asked.known[row].size + asked.unknown[row] == 10


def test_a_thinned_part_keeps_everyone_and_about_that_share(two_tastes):
    thin = thinned(two_tastes, 0.25)
    assert thin.user_ids == two_tastes.user_ids
    assert np.diff(thin.matrix.indptr).tolist() == [3] * 40


def test_the_newest_of_everyone_are_marked(interactions_of):
    timed = replace(interactions_of([[1, 1, 1], [1, 0, 0]]), times=np.array([3.0, 1.0, 2.0, 5.0]))
    assert last_of_each(timed, 1, needed=3).tolist() == [True, False, False, False]
    assert last_of_each(timed, 2, needed=3).tolist() == [True, False, True, False]
    with pytest.raises(NothingToTrain):
        last_of_each(timed, 1, needed=4)


def test_a_split_that_cannot_be_is_refused_with_what_to_do(everyday):
    with pytest.raises(ConfigurationInvalid, match="shares must lie between 0 and 1"):
        SplitOptions(share=1.5)
    with pytest.raises(ConfigurationInvalid, match="choose from time, leave-last, users"):
        split(gathered(everyday), "ncf")
    with pytest.raises(NothingToTrain):
        split(gathered(everyday[:3]), "leave-last")


@pytest.fixture
def sessions(tmp_path):
    """Item 9 is unseen in training; session 6 is a single click once it is gone."""
    lines = ["SessionId\tItemId\tTime", "1\t1\t10", "1\t2\t11", "2\t2\t12", "2\t3\t13", "2\t2\t14"]
    with gzip.open(tmp_path / "train.tsv.gz", "wt") as file:
        file.write("\n".join(lines))
    (tmp_path / "test.tsv").write_text(
        "SessionId\tItemId\tTime\n5\t1\t20\n5\t9\t21\n5\t2\t22\n5\t3\t23\n6\t9\t24\n6\t1\t25\n"
    )
    return tmp_path


def test_each_next_click_of_a_test_session_is_asked_for_after_those_before_it(sessions):
    task = load_sessions(sessions)
    asked = task.test.describe()
    assert task.training.item_ids == ("1", "2", "3")
    assert [task.training.item_ids[column] for column in asked.columns.tolist()] == ["2", "3"]
    assert asked.histories.tolist() == [1, 2]
    assert asked.people.tolist() == [0, 0]
    second = asked.interactions.histories(np.array([1]))
    assert second.items.tolist() == [0, 1]


def test_a_session_may_come_back_to_an_item(sessions):
    (sessions / "test.tsv").write_text("SessionId\tItemId\tTime\n5\t2\t20\n5\t2\t22\n")
    [row] = compare_on(load_sessions(sessions), Plan(names=["popularity"])).rows
    assert row.metrics["MRR@20"] == 1


def test_a_folder_is_recognised_by_its_files(sessions, tmp_path):
    assert recognised(sessions) == "sessions"
    assert recognised(tmp_path / "nowhere") is None


def test_a_file_with_other_columns_is_no_session_data(sessions):
    (sessions / "test.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(DatasetUnknown, match="SessionId, ItemId and Time"):
        load(sessions, "sessions")
