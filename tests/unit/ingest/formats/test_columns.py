"""Numbers are plain decimals, ids keep their digits, and nothing becomes a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.import_pipeline.formats.columns import CellInvalid, id_reader, number_reader, read_id, read_number, texts


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("4", 4.0),
        (" 4.5 ", 4.5),
        ("-1", -1.0),
        ("+2.", 2.0),
        (".5", 0.5),
        ("1.3788576e+09", 1378857600.0),
        (3, 3.0),
        (2.5, 2.5),
    ],
)
def test_plain_decimals_are_numbers(cell, number):
    assert read_number(cell) == number


@pytest.mark.parametrize(
    "cell",
    [
        "1_5",
        "２",
        "٣",
        "nan",
        "inf",
        "-Infinity",
        "1e400",
        "12,50",
        "1,000",
        "0x10",
        "four",
        "",
        None,
        True,
        [1],
        float("nan"),
        10**400,
    ],
)
def test_nothing_else_is_a_number(cell):
    with pytest.raises(CellInvalid) as refused:
        read_number(cell)
    assert refused.value.reason == "not-a-number"


def test_a_hint_says_how_a_decimal_comma_is_read():
    with pytest.raises(CellInvalid, match="--decimal-comma"):
        read_number("4,5")


@pytest.mark.parametrize(
    ("sample", "cells"),
    [
        (["4,5", "3", "1.000,5"], {"4,5": 4.5, "3": 3.0, "1.000,5": 1000.5, "-0,25": -0.25, 4.5: 4.5}),
        (["12,50"], {"12,50": 12.5}),
    ],
)
def test_a_decimal_comma_is_recognised_by_its_column(sample, cells):
    read = number_reader(sample)
    assert {cell: read(cell) for cell in cells} == cells


@pytest.mark.parametrize("cell", ["1.5", "1.500", "1,500,000", "1,5e", "1_0,5", ""])
def test_in_a_column_with_a_decimal_comma_a_point_is_not_guessed(cell):
    with pytest.raises(CellInvalid):
        number_reader(["4,5"])(cell)


@pytest.mark.parametrize("sample", [["4.5", "4,5"], ["1,500", "2,000"], ["1,234.5"], ["3", "4"], []])
def test_a_column_that_is_not_clear_has_no_decimal_comma(sample):
    with pytest.raises(CellInvalid):
        number_reader(sample)("4,5")
    assert number_reader(sample)("4.5") == 4.5


def test_a_decimal_comma_can_be_said():
    assert number_reader(["1,500"], decimal_comma=True)("1,500") == 1.5


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9))
def test_a_number_is_read_the_same_with_a_point_and_with_a_comma(number):
    text = f"{number:f}"
    assert read_number(text) == number_reader([], decimal_comma=True)(text.replace(".", ",")) == float(number)


@pytest.mark.parametrize(
    "name", ["nan", "NULL", "None", "NA", "null", "007", "7", "1e5", "true", "-", "0", "a b", "\u00e9"]
)
def test_texts_that_look_like_nothing_are_ids_of_a_file(name):
    assert read_id(name) == id_reader([name])(name) == name


@pytest.mark.parametrize("cell", [None, "", "   ", "\t", "\u200b", "\ufeff "])
def test_an_empty_cell_is_no_id(cell):
    assert read_id(cell) is None


@pytest.mark.parametrize(
    ("cell", "id_"),
    [
        (" u1", "u1"),
        ("u1 ", "u1"),
        ("\ufeffu1", "u1"),
        (123, "123"),
        (123.0, "123"),
        (-7, "-7"),
        (2**63 - 1, str(2**63 - 1)),
    ],
)
def test_an_id_is_read_without_blanks_and_with_its_digits(cell, id_):
    assert read_id(cell) == id_


@pytest.mark.parametrize(
    "cell",
    [
        True,
        False,
        float("nan"),
        float("inf"),
        1e21,
        2.0**53 + 2,
        1.5,
        2**63,
        -(2**63) - 1,
        10**22,
        [],
        ["u"],
        {"id": 1},
        "[object Object]",
        " [object Object]",
        "4.71020E+12",
    ],
)
def test_what_would_lose_digits_or_is_no_name_is_refused(cell):
    with pytest.raises(CellInvalid) as refused:
        read_id(cell)
    assert refused.value.reason == "not-an-id"


def test_in_a_column_of_whole_numbers_123_and_123_0_are_one_id():
    read = id_reader(["17850.0", "14527", ""])
    assert read("17850.0") == read("17850") == "17850"


def test_versions_are_ids_as_they_are():
    read = id_reader(["1.0", "1.1", "2.0"])
    assert [read(version) for version in ("1.0", "2.0")] == ["1.0", "2.0"]


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_is_one_id_however_json_writes_it(number):
    assert read_id(number) == read_id(float(number)) == str(number)


@given(st.lists(st.text(), max_size=4), st.text() | st.integers() | st.floats() | st.none() | st.booleans())
def test_a_cell_is_an_id_without_blanks_at_its_ends_or_none(sample, cell):
    try:
        id_ = id_reader(sample)(cell)
    except CellInvalid:
        return
    assert id_ is None or (id_ and id_ == id_.strip())


@pytest.mark.parametrize(
    ("value", "entries"),
    [
        ("Apparel > Shoes", ["Apparel > Shoes"]),
        (["Toys", "Music"], ["Toys", "Music"]),
        ([["Toys", "Music"], ["Toys"]], ["Toys", "Music", "Toys"]),
        ([None, " a ", "", 5, {"a": 1}], ["a"]),
        (5, []),
        (None, []),
        ({"a": "b"}, []),
    ],
)
def test_a_text_is_one_entry_and_not_its_letters(value, entries):
    assert texts(value) == entries
