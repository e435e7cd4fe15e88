"""A stray quote swallows no lines, and a text of several lines stays one cell."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.import_pipeline.formats.quoting import ANY_SHAPE, SEVERAL_LINES, STRAY_QUOTE, QuotedRecords, RecordShape

LINES = ["u0,i0,1,plain", "u2,i2,3,plain", "u3,i3,4,plain"]


def is_sound(cells):
    return cells[2].isdigit() and '"' not in cells[0]


SHAPE = RecordShape(4, (0, 1, 2), is_sound)


def records(text, shape=SHAPE, delimiter=",", quote='"'):
    return list(QuotedRecords(iter(text.split("\n")), delimiter, quote, shape))


def last_cells(text, **options):
    return [cells[-1] for _, cells, _ in records(text, **options)]


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ('u1,i1,2,"Heroes', '"Heroes'),
        ('u1,i1,2,"Weird Al" Y', '"Weird Al" Y'),
        ('u1,i1,2,12" single', '12" single'),
        ('u1,i1,2,Low"', 'Low"'),
        ('u1,i1,2,"', '"'),
        ('"u1","i1","2","Weird "Al" Y"', 'Weird "Al" Y'),
        ('"u1","i1","2","Heroes', '"Heroes'),
    ],
)
def test_a_stray_quote_is_part_of_its_text(line, title):
    found = records("\n".join([LINES[0], line, *LINES[1:]]))
    assert [cells[0] for _, cells, _ in found] == ["u0", "u1", "u2", "u3"]
    assert found[1][1] == ["u1", "i1", "2", title]
    assert [number for number, _, _ in found] == [1, 2, 3, 4]


def test_lines_between_two_stray_quotes_are_records():
    found = records("\n".join(['u1,i1,2,"Heroes', *LINES, 'u9,i9,9,Low"', LINES[0]]))
    assert [cells[0] for _, cells, _ in found] == ["u1", "u0", "u2", "u3", "u9", "u0"]
    assert found[0][2] == STRAY_QUOTE


def test_a_bad_line_between_two_stray_quotes_swallows_nothing():
    found = records("\n".join(['u1,i1,2,"Heroes', "bad", LINES[1], 'u9,i9,9,Low"']))
    assert [len(cells) for _, cells, _ in found] == [4, 1, 4, 4]


def test_an_id_has_no_line_end_so_its_quote_is_a_stray_one():
    found = records('u1,"Heroes,2,a\nu2,i2,3,b\nu3,Low",4,c')
    assert [cells[1] for _, cells, _ in found] == ['"Heroes', "i2", 'Low"']


def test_a_quote_that_is_never_closed_swallows_nothing():
    lines = ['u1,i1,2,"Heroes', *LINES * 5_000]
    assert len(records("\n".join(lines))) == len(lines)


@pytest.mark.parametrize(
    "text",
    [
        'u1,i1,2,"one\ntwo"',
        'u1,i1,2,"one\n\n\ntwo, with, a comma"',
        'u1,i1,2,"he said ""no""\nand, then, left"',
        'u1,i1,2,"line\n' + "some more\n" * 50 + 'end"',
    ],
)
def test_a_text_of_several_lines_is_one_cell(text):
    found = records(f"{LINES[0]}\n{text}\n{LINES[1]}")
    assert found[1][1:] == (next(csv.reader(io.StringIO(text, newline=""))), SEVERAL_LINES)
    assert (found[2][0], found[2][1][0]) == (text.count("\n") + 3, "u2")


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ('u1,i1,2,"a, b"', ["u1", "i1", "2", "a, b"]),
        ('"u1","i1","2","a, b"', ["u1", "i1", "2", "a, b"]),
        ('u1,i1,2,"a ""b"""', ["u1", "i1", "2", 'a "b"']),
        ('"u1","i1","2","a"",""b"', ["u1", "i1", "2", 'a","b']),
        ('u1, i1, 2, "a, b"', ["u1", "i1", "2", "a, b"]),
        ('"","","",""', ["", "", "", ""]),
        ("", []),
    ],
)
def test_proper_quotes_are_read_as_the_csv_module_does(line, cells):
    assert [found for _, found, _ in records(line)] == [cells]


def test_a_delimiter_may_have_several_characters():
    assert records('u1::i1::2::"a::b"', delimiter="::")[0][1] == ["u1", "i1", "2", "a::b"]


def test_another_quote_can_be_said():
    assert last_cells("u1,i1,2,'a, \"b'", quote="'") == ['a, "b']


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00"), max_size=8)
ROWS = st.lists(st.lists(CELL, min_size=4, max_size=4), min_size=1, max_size=8)


@given(ROWS, st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
def test_what_the_csv_module_writes_is_read_back(rows, quoting):
    text = io.StringIO()
    csv.writer(text, quoting=quoting, lineterminator="\n").writerows(rows)
    found = records(text.getvalue().removesuffix("\n"), shape=RecordShape(4))
    assert [cells for _, cells, _ in found] == rows


TITLE = st.text('ab" ', max_size=6)


@given(st.lists(TITLE, max_size=30))
def test_no_line_is_lost_wherever_quotes_stand(titles):
    text = "\n".join(f"u{n},i{n},{n},{title}" for n, title in enumerate(titles))
    found = records(text) if titles else []
    assert [cells[0] for _, cells, _ in found] == [f"u{n}" for n in range(len(titles))]


@given(st.text('ab",\n', max_size=60))
def test_any_text_is_read_to_its_end(text):
    for shape in (ANY_SHAPE, SHAPE):
        found = records(text, shape=shape)
        assert found[-1][0] == text.count("\n") + 1
