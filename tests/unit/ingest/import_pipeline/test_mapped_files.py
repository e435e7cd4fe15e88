"""A file with a column map: how its cells become events, and what is said of how it was read."""

from __future__ import annotations

import pytest

from ingest.import_pipeline.base import RowFaults
from ingest.import_pipeline.formats.dialect import FileOptions
from ingest.importers.mapped import Mapped, parse_map, parse_types
from schemas.errors import ConfigurationInvalid, DatasetUnknown


@pytest.fixture
def faults():
    return RowFaults()


def mapped(tmp_path, text, columns, name="a.csv", **said):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Mapped(path, parse_map(columns), FileOptions(**said))


def pairs(importer, faults):
    return [(event.get("user_id"), event.get("item_id")) for event in importer.events(faults)]


def test_a_line_says_how_a_file_is_read(tmp_path):
    importer = mapped(tmp_path, "user,item,at,title\nu1,i1,1600000000,x\n", "user=user,item=item,type=view,time=at")
    assert importer.description == (
        "a.csv: comma, UTF-8, header: user, item, at, title; 3 columns used; "
        "first row read as user u1, item i1, type view at 2020-09-13T12:26:40Z"
    )


def test_a_line_says_it_of_json_and_of_a_first_row_that_is_wrong(tmp_path):
    importer = mapped(tmp_path, '[{"u": null, "t": 5}]', "user=u,time=t", "a.json")
    assert importer.description.startswith(
        "a.json: JSON, UTF-8, members: u, t; 2 columns used; first row read as no event"
    )


def test_ids_are_trimmed_and_the_trimmed_counted(tmp_path, faults):
    importer = mapped(tmp_path, "user, item, rating\nu1 , 50, 4\nu1,51, 3\n", "user=user,item=item,value=rating")
    assert pairs(importer, faults) == [("u1", "50"), ("u1", "51")]
    assert list(faults.mended.values()) == [2]


def test_numbers_of_a_column_are_one_id_with_and_without_a_fraction(tmp_path, faults):
    importer = mapped(tmp_path, "user,item\n123.0,a\n123,b\n,c\n", "user=user,item=item")
    assert pairs(importer, faults) == [("123", "a"), ("123", "b"), (None, "c")]


def test_null_is_no_id(tmp_path, faults):
    rows = (
        '{"u": null, "i": "a"}\n{"u": NaN, "i": "b"}\n{"u": {}, "i": "c"}\n{"u": "d", "i": "d"}\n{"u": 0, "i": "e"}\n'
    )
    importer = mapped(tmp_path, rows, "user=u,item=i", "a.jsonl")
    assert pairs(importer, faults) == [(None, "a"), (None, "c"), ("d", "d"), ("0", "e")]
    assert faults.reasons == {"not-an-id": 1}


def test_a_header_in_a_file_that_is_mapped_by_number_is_refused_by_its_line(tmp_path, faults):
    importer = mapped(tmp_path, "user,item\nu1,i1\n", "user=1,item=2")
    assert pairs(importer, faults) == [("u1", "i1")]
    assert faults.examples == [
        "a.csv line 1: looks like a header (user, item): say --no-header if it is a row, or --header"
    ]


def test_a_header_in_the_middle_is_refused(tmp_path, faults):
    importer = mapped(tmp_path, "user,item\nu1,i1\nuser,item\nu2,i2\n", "user=user,item=item")
    assert pairs(importer, faults) == [("u1", "i1"), ("u2", "i2")]
    assert faults.examples == ["a.csv line 3: repeats the header"]


def test_words_of_a_file_are_event_types(tmp_path, faults):
    types = parse_types("pv=view, fav=bookmark")
    importer = mapped(
        tmp_path, "u,i,kind\na,1,pv\na,2,fav\na,3,Add To Cart\na,4,\n", "user=u,item=i,type=kind", types=types
    )
    assert [event["type"] for event in importer.events(faults)] == ["view", "bookmark", "add_to_cart", "view"]


@pytest.mark.parametrize("text", ["pv", "pv=", "=view"])
def test_a_map_of_types_that_cannot_work_is_explained(text):
    with pytest.raises(ConfigurationInvalid, match="--types pv=view"):
        parse_types(text)


def test_a_decimal_comma_is_read_as_one(tmp_path, faults):
    importer = mapped(tmp_path, "user;item;note\nu;a;4,5\nu;b;3\nu;c;x\n", "user=user,item=item,value=note")
    assert [event["value"] for event in importer.events(faults)] == [4.5, 3.0]
    assert faults.reasons == {"not-a-number": 1}


def test_stray_quotes_in_ids_lose_no_row(tmp_path, faults):
    rows = 'me\t"Heroes\t1600000000\nme\tLow\t1600000001\nme\tLodger"\t1600000002\n'
    importer = mapped(tmp_path, f"who\tsong\tat\n{rows}", "user=who,item=song,time=at", "a.tsv")
    assert pairs(importer, faults) == [("me", '"Heroes'), ("me", "Low"), ("me", 'Lodger"')]


def test_titles_of_several_lines_are_no_rows(tmp_path, faults):
    rows = 'u1,"one, 1600000000\ntwo, three",i1,1600000000\nu2,x,i2,1600000001\n'
    importer = mapped(tmp_path, f"user,title,item,at\n{rows}", "user=user,item=item,time=at")
    assert pairs(importer, faults) == [("u1", "i1"), ("u2", "i2")]


@pytest.mark.parametrize("name", ["a.inter", "a.dat", "a", "a.txt", "A.CSV"])
def test_a_file_of_any_ending_is_read(tmp_path, faults, name):
    importer = mapped(tmp_path, "user\titem\nu1\ti1\n", "user=user,item=item", name)
    assert pairs(importer, faults) == [("u1", "i1")]


def test_a_member_that_no_object_has_is_an_error(tmp_path):
    with pytest.raises(ConfigurationInvalid, match=r"a\.jsonl has no column 'usr'; it has user, item"):
        mapped(tmp_path, '{"user": "a", "item": "b"}\n', "user=usr,item=item", "a.jsonl")


def test_a_form_of_times_needs_a_column_of_times(tmp_path):
    with pytest.raises(ConfigurationInvalid, match="names no column of times"):
        mapped(tmp_path, "u,i\na,b\n", "user=u,item=i", time_format="iso")


@pytest.mark.parametrize("text", ["", "\n\n\n", "u,i\n", "\ufeff", "[]", "{}"])
@pytest.mark.parametrize("name", ["a.csv", "a.json"])
def test_a_file_without_rows_has_no_events_or_is_named(tmp_path, faults, text, name):
    try:
        assert pairs(mapped(tmp_path, text, "user=u,item=i", name), faults) == []
    except (ConfigurationInvalid, DatasetUnknown):
        assert True


def test_a_description_that_is_mapped_may_have_several_lines(tmp_path, faults):
    rows = 'u1,i1,1600000000,"one\ntwo"\nu2,i2,1600000001,x\n'
    columns = "user=user,item=item,time=at,description=text"
    importer = mapped(tmp_path, f"user,item,at,text\n{rows}", columns)
    assert pairs(importer, faults) == [("u1", "i1"), ("u2", "i2")]
    assert [item["description"] for item in importer.items(faults)] == ["one\ntwo", "x"]
