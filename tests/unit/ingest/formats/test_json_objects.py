"""JSON files as people have them: an object on several lines, and an object that holds its rows in a list."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.import_pipeline.base import RowFaults
from ingest.import_pipeline.formats.json_rows import json_objects

ROWS = [{"id": str(number), "title": f"a {{ title }} {number}", "tags": ["x", "y"]} for number in range(3)]


@pytest.fixture
def read(tmp_path):
    def read_text(text: str):
        path = tmp_path / "rows.json"
        path.write_text(text)
        faults = RowFaults()
        return list(json_objects(path, "utf-8", faults)), faults

    return read_text


@pytest.mark.parametrize("indent", [None, 0, 1, 4])
@pytest.mark.parametrize("name", ["products", "items", "events"])
def test_the_list_of_an_object_holds_the_rows(read, name, indent):
    found, faults = read(json.dumps({"count": 3, name: ROWS, "meta": {"items": 1}}, indent=indent))
    assert [row for _, row in found] == ROWS
    assert not faults.count


def test_rows_of_a_list_have_the_lines_on_which_they_begin(read):
    found, _ = read(json.dumps({"products": ROWS}, indent=1))
    lines = json.dumps({"products": ROWS}, indent=1).split("\n")
    assert [where.line for where, _ in found] == [number for number, line in enumerate(lines, 1) if line == "  {"]


@pytest.mark.parametrize("indent", [None, 2])
def test_one_object_is_one_row(read, indent):
    found, faults = read(json.dumps(ROWS[0], indent=indent))
    assert [row for _, row in found] == ROWS[:1]
    assert not faults.count


@pytest.mark.parametrize(
    "row",
    [
        {"order_id": "7", "items": [{"sku": "a"}]},
        {"id": 7, "title": "a set", "products": [{"sku": "a"}]},
        {"items": [{"a": 1}], "events": [{"b": 1}]},
        {"name": "x", "items": ["a", "b"]},
    ],
)
def test_an_object_that_may_be_a_row_itself_is_one(read, row):
    found, _ = read(json.dumps(row, indent=2))
    assert [row for _, row in found] == [row]


def test_objects_on_several_lines_may_follow_each_other(read):
    found, faults = read("\n".join(json.dumps(row, indent=2) for row in ROWS))
    assert [row for _, row in found] == ROWS
    assert not faults.count


def test_what_is_never_closed_swallows_no_row(read):
    found, faults = read('{"id": "0"}\nbroken {\n' + "\n".join(map(json.dumps, ROWS)))
    assert [row["id"] for _, row in found] == ["0", "0", "1", "2"]
    assert faults.count == 1


def test_an_object_that_ends_early_is_refused_by_its_lines(read):
    found, faults = read('{\n "products": [\n  {"id": "1"},')
    assert not found
    assert faults.count == 3


@given(
    rows=st.lists(
        st.dictionaries(st.sampled_from("abc"), st.text(max_size=6) | st.lists(st.integers(), max_size=2), min_size=1),
        min_size=1,
        max_size=5,
    ),
    indent=st.sampled_from([None, 0, 2]),
    form=st.sampled_from(["list", "lines", "member"]),
)
def test_rows_are_the_same_in_every_form(tmp_path_factory, rows, indent, form):
    path = tmp_path_factory.mktemp("json") / "rows.json"
    text = {
        "list": json.dumps(rows, indent=indent),
        "lines": "\n".join(json.dumps(row, indent=indent) for row in rows),
        "member": json.dumps({"products": rows}, indent=indent),
    }[form]
    path.write_text(text)
    faults = RowFaults()
    assert [row for _, row in json_objects(path, "utf-8", faults)] == rows
    assert not faults.count
