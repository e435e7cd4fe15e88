from __future__ import annotations

import math
from pathlib import Path

import pytest

from ingest.import_pipeline.base import RowFaults
from ingest.importers.recognise import recognise
from tests.bench.served import Rating, copy, hold_out, popular, read, scored

SECOND = 881_250_000
"""A second of 1997, because an import takes no time before 1990."""
ANN = [
    Rating("ann", str(item), stars, SECOND + at)
    for item, stars, at in [(9, 5, 10), (1, 5, 30), (10, 3, 20), (2, 4, 20)]
]
BOB = [
    Rating("bob", str(item), stars, SECOND + at) for item, stars, at in [(1, 5, 5), (2, 4, 6), (9, 2, 7), (10, 1, 8)]
]


def test_a_persons_last_ratings_are_held_out_and_those_of_one_second_go_by_the_items_number() -> None:
    split = hold_out([*ANN, *BOB], count=2)

    assert [rating.item for rating in split.learned] == ["9", "2", "1", "2"]
    assert split.hits["ann"] == {"1"}  # 10 was held out too, with three stars


def test_a_person_who_liked_nothing_that_was_held_out_is_asked_for_but_left_out_of_the_means() -> None:
    split = hold_out([*ANN, *BOB], count=2)

    assert split.hits["bob"] == set()
    assert scored({"ann": ["1"], "bob": []}, split.hits) == {"HR@10": 1.0, "NDCG@10": 1.0}


def test_the_ideal_list_has_as_many_hits_at_its_top_as_the_person_has() -> None:
    found = scored({"ann": ["x", "a", "y", "b"], "bob": ["x"]}, {"ann": {"a", "b", "c"}, "bob": {"d"}})

    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert found["HR@10"] == 0.5
    assert found["NDCG@10"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal / 2)


def test_only_the_first_ten_places_count() -> None:
    assert scored({"ann": [*"abcdefghij", "hit"]}, {"ann": {"hit"}}) == {"HR@10": 0.0, "NDCG@10": 0.0}


def test_popularity_counts_what_was_liked_and_shows_nobody_what_they_have_rated() -> None:
    cid = [Rating("cid", item, stars, 1) for item, stars in [("3", 4), ("7", 3), ("8", 5)]]
    dan = [Rating("dan", item, 5, 1) for item in ("2", "3", "9")]

    lists = popular(hold_out([*BOB, *cid, *dan], count=1))

    assert lists == {"bob": ["3"], "cid": ["2", "1"], "dan": ["1"]}


def test_the_copy_is_read_by_the_importer_and_lacks_what_was_held_out(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "u.data").write_text("".join(f"{r.user}\t{r.item}\t{r.stars:g}\t{r.at}\n" for r in [*ANN, *BOB]))
    (source / "u.item").write_text("9|Heat (1995)|01-Jan-1995|||" + "|".join("0" * 19) + "\n")
    (source / "u.user").write_text("ann|30|F|artist|94043\n")

    copied = recognise(copy(source, tmp_path / "copied", hold_out(read(source), count=3).learned))

    assert [(event["user_id"], event["item_id"]) for event in copied.events(RowFaults())] == [
        ("bob", "1"),
        ("ann", "9"),
    ]
    assert [item["title"] for item in copied.items(RowFaults())] == ["Heat (1995)"]
