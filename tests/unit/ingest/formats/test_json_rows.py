"""Objects are read from lines and from arrays, and what is no object is counted."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.import_pipeline.base import RowFaults
from ingest.import_pipeline.formats.json_rows import json_objects

OBJECTS = [{"u": "a", "i": "x]}"}, {"u": 'b"', "n": [1, {"d": {}}]}, {}]


def read(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    faults = RowFaults()
    return list(json_objects(path, "utf-8", faults)), faults


@pytest.mark.parametrize("indent", [None, 0, 2])
def test_an_array_is_read_as_lines_are(tmp_path, indent):
    found, faults = read(tmp_path / "a.json", json.dumps(OBJECTS, indent=indent))
    assert ([cells for _, cells in found], faults.count) == (OBJECTS, 0)
    lines, _ = read(tmp_path / "a.jsonl", "\n".join(map(json.dumps, OBJECTS)))
    assert [cells for _, cells in lines] == OBJECTS


def test_a_member_is_named_by_the_line_on_which_it_begins(tmp_path):
    found, _ = read(tmp_path / "a.json", json.dumps(OBJECTS, indent=1))
    assert [str(line) for line, _ in found] == ["a.json line 2", "a.json line 6", "a.json line 15"]


@pytest.mark.parametrize(
    ("text", "count", "refused"),
    [
        ('[{"u": 1}, 5, {"u": 2}, null, "a"]', 2, 3),
        ('[{"u": 1}, [{"u": 2}], {"u": 3}]', 2, 1),
        ('[{"u": 1}, {"u": }, {"u": 3}]', 2, 1),
        ('[{"u": 1}, {"u": 2', 1, 1),
        ('[{"u": 1}]\n[{"u": 2}]\n{"u": 3}\n', 3, 0),
        ('[{"u": 1}] {"u": 2}', 1, 1),
        ("[]", 0, 0),
        ('\n\n[\n{"u": NaN}\n]\n', 1, 0),
        ('{"u": 1}\n[]\n5\nnot json\n{"u": 2}', 2, 3),
        ("]][{", 0, 1),
        ("", 0, 0),
    ],
)
def test_what_is_no_object_is_counted(tmp_path, text, count, refused):
    found, faults = read(tmp_path / "a.json", text)
    assert (len(found), faults.count) == (count, refused)


def test_integers_keep_their_digits(tmp_path):
    found, _ = read(tmp_path / "a.json", '[{"u": 98765432109876543210987}]')
    assert found[0][1] == {"u": 98765432109876543210987}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=5), st.sampled_from([None, 0, 3]))
def test_every_array_of_objects_is_read_back(tmp_path_factory, objects, indent):
    found, faults = read(tmp_path_factory.mktemp("json") / "a.json", json.dumps(objects, indent=indent))
    assert ([cells for _, cells in found], faults.count) == (objects, 0)


@given(st.text('[]{}",:\\1a\n ', max_size=60))
def test_any_text_is_read_to_its_end(tmp_path_factory, text):
    read(tmp_path_factory.mktemp("json") / "a.json", text)
