"""The delimiter and the header of a table are found, shown, or can be said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.import_pipeline.formats.dialect import (
    FileOptions,
    find_delimiter,
    looks_like_header,
    said_delimiter,
    said_quote,
    table_form,
)
from schemas.errors import ConfigurationInvalid

NUMBERED = {"user": "1", "item": "2"}
NAMED = {"user": "user", "item": "item"}


def form_of(tmp_path, text, columns, **said):
    path = tmp_path / "a.csv"
    path.write_text(text, newline="")
    return table_form(path, columns, FileOptions(**said))


@pytest.mark.parametrize(
    ("lines", "delimiter"),
    [
        (["user,item,title", "u1,i1,'Allo 'Allo", "u2,i2,'Tis pity"], ","),
        (["user;item;note", "anne;A-1;4,5", "bert;A-2;1,5"], ";"),
        (["user\titem\ttitle", "u1\ti1\ta, b", "u2\ti2\tc, d"], "\t"),
        (["user|item", "u1|a b", "u2|c d"], "|"),
        (["user, item, title", "u1, i1, a"], ","),
        (["user::item", "1::2"], "::"),
        (["user\x01item", "u\x01i"], "\x01"),
        (["user item", "u i"], " "),
        (['"user","item","title"', '"u1","i1","a; b | c"'], ","),
    ],
)
def test_the_delimiter_is_the_one_that_gives_the_named_columns(lines, delimiter):
    assert find_delimiter(lines, '"', NAMED) == delimiter


@pytest.mark.parametrize(
    ("lines", "delimiter"),
    [
        (["u1,i1,Rock 'n' Roll", "u2,i2,Salt 'n' Pepa", "u3,i3,Sweet 'n' Sour"], ","),
        (["u1,10,Denver West Parkway East", "u2,11,Denver East Parkway West"], ","),
        (["u1,1,A|B|C|D", "u2,2,A|B|C|D"], ","),
        (["anne;A-1;4,5", "bert;A-2;1,5"], ";"),
        (["u1|a b|5", "u2|c d|4"], "|"),
        (["1\t2\t3", "4\t5\t6"], "\t"),
        (["1::2::3", "4::5::6"], "::"),
        (["0 25", "1 133"], " "),
        (["k1,purchase,phone"], ","),
        (["u1,i1,2020-01-01 10:00:00", "u2,i2,2020-01-02 10:00:00"], ","),
    ],
)
def test_without_a_header_no_id_holds_another_delimiter(lines, delimiter):
    assert find_delimiter(lines, '"', NUMBERED) == delimiter


@given(
    st.sampled_from("\t,;|"),
    st.lists(st.tuples(*[st.text("ab 'n.-", min_size=1).map("x{}".format)] * 3), min_size=1, max_size=9),
)
def test_the_delimiter_of_plain_cells_is_found(delimiter, rows):
    lines = [delimiter.join(row) for row in rows]
    assert find_delimiter(lines, '"', NUMBERED) == delimiter
    assert find_delimiter([delimiter.join(("user", "item", "title")), *lines], '"', NAMED) == delimiter


@pytest.mark.parametrize(
    ("rows", "is_header"),
    [
        ([["user", "item"], ["u1", "i1"]], True),
        ([["userId", "movieId"], ["1", "31"]], True),
        ([["User-ID", "ISBN"], ["276725", "0349"]], True),
        ([["visitor", "kleur"], ["1", "2"]], True),
        ([["user"], ["u1"]], False),
        ([["u1", "i1"], ["u2", "i2"]], False),
        ([["k1", "purchase"], ["k2", "view"]], False),
        ([["1", "2"], ["3", "4"]], False),
        ([["user", "phone"], ["anna", "tablet"]], False),
        ([], False),
    ],
)
def test_a_header_is_told_from_a_row(rows, is_header):
    assert looks_like_header(rows, NUMBERED) is is_header


def test_a_header_of_a_file_that_is_mapped_by_number_is_no_row(tmp_path):
    form = form_of(tmp_path, "user,item\nu1,i1\n", NUMBERED)
    assert (form.doubtful_header, form.header, form.rows) == (True, ["user", "item"], [["u1", "i1"]])
    assert form_of(tmp_path, "user,item\nu1,i1\n", NUMBERED, header=False).rows == [["user", "item"], ["u1", "i1"]]
    assert not form_of(tmp_path, "user,item\nu1,i1\n", NUMBERED, header=True).doubtful_header


def test_columns_that_count_up_are_asked_about(tmp_path):
    columns = {"user": "1", "item": "2"}
    with pytest.raises(ConfigurationInvalid, match="say --header if these are names of columns"):
        form_of(tmp_path, "0,1,2\nu1,i1,5\n", columns)
    assert form_of(tmp_path, "0,1,2\nu1,i1,5\n", columns, header=True).names == ["0", "1", "2"]
    assert form_of(tmp_path, "0,1,2\nu1,i1,5\n", columns, header=False).names == ["1", "2", "3"]


def test_a_column_that_is_named_twice_is_refused_if_it_is_mapped(tmp_path):
    text = "user,item,at,user,x,x\nu1,i1,1,900,a,b\n"
    with pytest.raises(ConfigurationInvalid, match=r"names the column 'user' more than once \(columns 1 and 4\)"):
        form_of(tmp_path, text, NAMED)
    assert form_of(tmp_path, text, {"user": "item"}).rows == [["u1", "i1", "1", "900", "a", "b"]]


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
def test_excels_line_of_the_delimiter_is_no_header(tmp_path, first):
    form = form_of(tmp_path, f"{first}\nuser;item\nu1;i1\n", NAMED)
    assert (form.dialect.delimiter, form.names, form.rows) == (";", ["user", "item"], [["u1", "i1"]])


def test_what_is_said_is_not_found_out(tmp_path):
    form = form_of(tmp_path, "'u;1'!i1\n", NUMBERED, delimiter="!", quote="'", header=False, encoding="latin-1")
    assert (form.rows, str(form.dialect)) == ([["u;1", "i1"]], "delimiter '!', ISO8859-1")


def test_a_file_without_a_header_cannot_be_mapped_by_name(tmp_path):
    with pytest.raises(ConfigurationInvalid, match="mapped by number"):
        form_of(tmp_path, "user,item\n", NAMED, header=False)


@pytest.mark.parametrize(
    ("text", "delimiter"), [("tab", "\t"), ("\\t", "\t"), ("comma", ","), (";", ";"), ("::", "::"), ("", "")]
)
def test_a_delimiter_is_said_by_itself_or_by_its_name(text, delimiter):
    assert said_delimiter(text) == delimiter


def test_a_quote_is_said_by_itself_or_as_none():
    assert (said_quote("'"), said_quote("none"), said_quote("")) == ("'", "", None)
    with pytest.raises(ConfigurationInvalid):
        said_quote("''")
