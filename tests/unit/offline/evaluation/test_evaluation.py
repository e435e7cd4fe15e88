import gzip
import math

import numpy as np
import pyarrow as pa
import pytest

from offline.data.splits import newest_of_each
from offline.evaluation import ranking_metrics
from offline.evaluation.compare import compare
from offline.evaluation.ranking_metrics import MISS, full_ranking, rank, rank_among, summary
from schemas.errors import ConfigurationInvalid, DatasetUnknown


def floats(*values):
    return np.array(values, dtype=np.float32)


def test_the_best_has_rank_one_and_ties_count_half():
    assert rank(floats(5, 3, 3, 3, 1), np.arange(5)).tolist() == [1, 3, 3, 3, 5]


def test_what_is_masked_is_no_candidate_and_what_is_not_known_is_a_miss():
    assert rank(floats(-math.inf, 2, math.nan), np.arange(3)).tolist() == [MISS, 1, MISS]


def test_rank_among_others_counts_ties_half_and_unknown_as_missed():
    assert rank_among(0.5, floats(0.75, 0.5, 0.25, -math.inf)) == 2.5
    assert rank_among(-math.inf, floats(0.5)) == MISS


def test_metrics_are_as_defined():
    found = summary([np.array([1.0, 12.0, MISS]), np.array([3.0]), np.array([11.0])], cutoffs=(10,))
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert found == pytest.approx(
        {
            "HR@10": 2 / 3,
            "NDCG@10": (1 / ideal + 1 / math.log2(4) + 0) / 3,
            "Recall@10": (1 / 3 + 1 + 0) / 3,
            "MRR@10": (1 + 1 / 3 + 0) / 3,
            "MAP@10": (1 / 3 + 1 / 3 + 0) / 3,
        }
    )


def test_a_perfect_ranking_has_an_ndcg_of_one():
    assert summary([np.array([2.0, 1.0, 3.0])])["NDCG@10"] == pytest.approx(1)


def test_nobody_asked_is_nothing_measured():
    assert summary([]) == {}


def table(*rows):
    names = ("user", "item", "first_at")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    size = len(rows)
    return pa.table(columns | {"weight": [1.0] * size, "at": columns["first_at"], "events": [1] * size})


def test_the_newest_item_of_each_who_has_enough_is_held_out():
    split = newest_of_each(
        table(
            ("u:1", "b", 3.0), ("u:1", "a", 1.0), ("u:1", "c", 2.0), ("u:2", "a", 9.0), ("u:2", "c", 9.0),
            ("u:2", "d", 9.0), ("u:3", "b", 5.0), ("a:4", "b", 6.0), ("a:4", "c", 7.0),
        ),
        users=100,
        needed=3,
    )  # fmt: skip
    training, held = split
    assert training.item_ids == ("a", "b", "c")
    assert training.window.interactions == 7
    assert {training.user_ids[row]: held.known[row].tolist() for row in held.rows} == {"1": [1], "2": []}
    assert [held.unknown[row] for row in held.rows] == [0, 1]


def test_a_sample_of_people_is_the_same_each_time():
    rows = [(f"u:{user}", f"{item}", float(item)) for user in range(30) for item in range(6)]
    one, other = newest_of_each(table(*rows), users=7), newest_of_each(table(*rows), users=7)
    assert one[1].rows.size == 7
    np.testing.assert_array_equal(one[1].rows, other[1].rows)


def test_where_nobody_has_enough_nothing_is_held_out():
    assert newest_of_each(table(("u:1", "a", 1.0), ("u:2", "b", 2.0)), users=10) is None


@pytest.mark.parametrize("cells", [1, 8_000_000])
def test_full_ranking_leaves_out_what_was_seen(monkeypatch, cells):
    monkeypatch.setattr(ranking_metrics, "CELLS", cells)
    rows = [(f"u:{user}", f"{item}", float(item)) for user in range(3) for item in range(3)]
    _, held = newest_of_each(table(*rows, ("u:9", "2", 1.0), ("u:9", "3", 2.0)), users=10, needed=3)

    def seen_items_first(rows):
        return np.tile(floats(9, 8, 2, 1), (rows.size, 1))

    assert full_ranking(held, seen_items_first, cutoffs=(1,))["HR@1"] == 1


def write(path, lines):
    with gzip.open(path, "wt") as file:
        file.writelines(f"{line}\n" for line in lines)


@pytest.fixture
def ncf(tmp_path):
    """Item 0 is had by all but user 3, whose test item it is; user 4's test item is nowhere in training."""
    write(tmp_path / "train.tsv.gz", ["0\t0", "1\t0", "2\t0", "2\t1", "3\t1", "3\t2", "4\t0", "4\t2"])
    write(tmp_path / "test.negative.gz", ["(3,0)\t1\t2\t0\t7", "(4,9)\t1\t2"])
    return tmp_path


def test_an_own_test_item_among_the_others_is_left_out_and_an_unknown_one_is_missed(ncf):
    [row] = compare(ncf, "ncf", ["popularity"]).rows
    assert row.metrics["HR@10"] == 0.5
    assert row.metrics["NDCG@10"] == 0.5
    assert row.peak_mib > 1


def test_a_report_names_its_data_protocol_configuration_and_commit(ncf):
    report = compare(ncf, "ncf", ["popularity", "neighbours", "als"], config_id="c1", commit="abc")
    assert (report.dataset, report.protocol, report.config_id, report.commit) == (ncf.name, "ncf", "c1", "abc")
    assert [row.name for row in report.rows] == ["popularity", "neighbours", "als"]
    assert {"ItemKNN", "NeuMF"} <= {row.name for row in report.published}


def test_an_unknown_protocol_algorithm_or_folder_is_said_by_name(ncf, tmp_path):
    with pytest.raises(ConfigurationInvalid, match="'loo' is not a protocol; choose from ncf, lightgcn"):
        compare(ncf, "loo")
    with pytest.raises(ConfigurationInvalid, match="'magic' is not an algorithm"):
        compare(ncf, "ncf", ["magic"])
    with pytest.raises(DatasetUnknown):
        compare(tmp_path / "nowhere", "ncf")


def test_the_lightgcn_protocol_ranks_all_items_but_those_of_training(tmp_path):
    """Popularity would put item 0 first for user 2, but they have it; item 9 is nowhere in training."""
    write(tmp_path / "train.txt.gz", ["0 0 1 2", "1 0 1", "2 0 3"])
    (tmp_path / "test.txt").write_text("2 1 9\n0 3\n")
    report = compare(tmp_path, "lightgcn", ["popularity"])
    [row] = report.rows
    assert row.metrics["Recall@20"] == pytest.approx((0.5 + 1) / 2)
    ideal = 1 + 1 / math.log2(3)
    assert row.metrics["NDCG@20"] == pytest.approx((1 / ideal + 1) / 2)
    assert "LightGCN" in {each.name for each in report.published}
