import math

import numpy as np
import pyarrow as pa
import pytest

from models.als import Als
from models.neighbours import Neighbours
from models.structures.lists import ITEMS, USERS, ScoredList
from offline.publishing.external_models import COLUMNS, MOST, ExternalModelOptions, external_model_of
from offline.publishing.upload_api import read_table
from schemas.errors import PublicationInvalid


def table(kind, *rows):
    return pa.Table.from_pylist([dict(zip(COLUMNS[kind].names, row, strict=True)) for row in rows])


def opened(made, kind):
    return {key: dict(ScoredList.load(value)) for key, value in made.lists[kind].items()}


def test_neighbours_become_the_same_value_as_our_own_best_first():
    made = external_model_of("neighbours", table("neighbours", ("a", "b", 0.25), ("a", "c", 0.5), ("b", "d", 1.0)))
    value = Neighbours.load(made.values["neighbours"])
    assert list(value.similar("a", 9)) == [("c", 0.5), ("b", 0.25)]
    assert list(value.similar("b", 9)) == [("d", 1.0)]
    assert len(value.similar("d", 9)) == 0
    assert opened(made, ITEMS) == {"a": {"c": 0.5, "b": 0.25}, "b": {"d": 1.0}}


def test_lists_become_peoples_lists_best_first():
    made = external_model_of("lists", table("lists", ("ann", "a", 0.25), ("bob", "b", 1.0), ("ann", "c", 0.5)))
    assert made.values == {}
    assert ScoredList.load(made.lists[USERS]["ann"]) == ScoredList(("c", "a"), (0.5, 0.25))
    assert set(made.lists[USERS]) == {"ann", "bob"}


def test_factors_become_factors_and_the_lists_that_follow_from_them():
    rows = [("user", "ann", [1.0, 0.0]), ("item", "a", [0.5, 9.0]), ("item", "b", [2.0, 0.0]), ("item", "c", [0.1, 0])]
    made = external_model_of("factors", table("factors", *rows), ExternalModelOptions(user_list=2, alpha=3.0))
    als = Als.load(made.values["als"])
    assert (als.item_ids, als.user_ids, als.alpha) == (("a", "b", "c"), ("ann",), 3.0)
    assert als.vector("ann").tolist() == [1.0, 0.0]
    assert ScoredList.load(made.lists[USERS]["ann"]) == ScoredList(("b", "a"), (2.0, 0.5))


def test_factors_of_items_alone_serve_by_fold_in():
    made = external_model_of("factors", table("factors", ("item", "a", [1.0]), ("item", "b", [2.0])))
    assert made.lists[USERS] == {}


@pytest.mark.parametrize(
    ("kind", "rows", "said", "field", "row"),
    [
        ("neighbours", [("a", "b", 1.0), ("a", "a", 1.0)], "row 1: neighbour_id is the item itself", "neighbour_id", 1),
        ("neighbours", [("a", "b", 1.0), ("a", "c", math.nan)], "row 1: score is not finite", "score", 1),
        ("neighbours", [("a", "b", 1.0), ("c", None, 1.0)], "row 1: neighbour_id is missing", "neighbour_id", 1),
        ("neighbours", [("a", "b", 1.0), ("a", "b", 0.5)], "row 1: a and b are there twice", "neighbour_id", 1),
        ("neighbours", [("a\n", "b", 1.0)], "row 0: item_id has a control character", "item_id", 0),
        ("lists", [("ann", "x" * 129, 1.0)], "row 0: item_id has not 1 to 128 characters", "item_id", 0),
        ("lists", [("", "a", 1.0)], "row 0: user_id has not 1 to 128 characters", "user_id", 0),
        ("factors", [("shop", "a", [1.0])], "row 0: of is neither user nor item", "of", 0),
        ("factors", [("item", "a", [1.0]), ("item", "b", [1.0, 2.0])], "row 1: vector has not 1 numbers", "vector", 1),
        ("factors", [("item", "a", [1.0]), ("item", "b", [math.inf])], "row 1: vector has a number", "vector", 1),
        ("factors", [("item", "a", [1.0]), ("item", "a", [2.0])], "row 1: item and a are there twice", "id", 1),
        ("factors", [("user", "ann", [1.0])], "there are no rows of items", "of", None),
        ("factors", [("item", "a", [])], "row 0: vector is empty", "vector", 0),
    ],
)
def test_what_is_wrong_is_said_with_its_row_and_column(kind, rows, said, field, row):
    with pytest.raises(PublicationInvalid) as refused:
        external_model_of(kind, table(kind, *rows))
    assert str(refused.value).startswith(said)
    assert (refused.value.field, refused.value.row) == (field, row)


def test_a_column_that_is_not_there_or_of_another_type_is_named():
    with pytest.raises(PublicationInvalid, match="no column 'score'; neighbours have item_id, neighbour_id, score"):
        external_model_of("neighbours", pa.table({"item_id": ["a"], "neighbour_id": ["b"]}))
    with pytest.raises(PublicationInvalid, match="column 'score' is string"):
        external_model_of("neighbours", pa.table({"item_id": ["a"], "neighbour_id": ["b"], "score": ["good"]}))
    with pytest.raises(PublicationInvalid, match="no rows"):
        external_model_of("lists", COLUMNS["lists"].empty_table())


def test_a_list_that_is_too_long_is_refused():
    many = table("lists", *(("ann", f"i{number}", 1.0) for number in range(MOST + 1)))
    with pytest.raises(PublicationInvalid, match=f"row {MOST}: 'ann' has more than 1,000 rows"):
        external_model_of("lists", many)


def test_more_columns_and_other_widths_of_numbers_will_do():
    made = external_model_of(
        "lists",
        pa.table({"score": np.array([1, 2], np.int64), "user_id": ["ann"] * 2, "item_id": ["a", "b"], "why": ["", ""]}),
    )
    assert opened(made, USERS) == {"ann": {"b": 2.0, "a": 1.0}}


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("application/json", b'[{"user_id": "ann", "item_id": "a", "score": 1}]'),
        ("application/x-ndjson", b'{"user_id": "ann", "item_id": "a", "score": 1}\n\n'),
    ],
)
def test_rows_are_read_from_json(media_type, body):
    assert opened(external_model_of("lists", read_table("lists", media_type, body)), USERS) == {"ann": {"a": 1.0}}


@pytest.mark.parametrize(
    ("media_type", "body", "said"),
    [
        ("application/json", b"{}", "the body is no JSON array"),
        ("application/json", b'[{"user_id": "ann", "item_id": 7, "score": 1}]', "row 0: item_id must be string"),
        ("application/json", b'[{"user_id": "ann", "item_id": "i", "score": true}]', "row 0: score must be float"),
        (
            "application/json",
            b'[{"user_id": "ann", "item_id": "i", "score": 1%b}]' % (b"0" * 400),
            "row 0: score must be float",
        ),
        ("application/json", b'[{"item_id": "a", "score": 1}]', "row 0: user_id is missing"),
        ("application/x-ndjson", b"{}\nnonsense", "row 1: the line is no JSON"),
        ("application/vnd.apache.parquet", b"nonsense", "it cannot be read as Parquet"),
    ],
)
def test_a_body_that_cannot_be_read_is_said_to_be_so(media_type, body, said):
    with pytest.raises(PublicationInvalid) as refused:
        external_model_of("lists", read_table("lists", media_type, body))
    assert str(refused.value).startswith(said)
