from __future__ import annotations

import gzip
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.import_pipeline.base import RowFaults
from ingest.import_pipeline.formats.times import read_time
from ingest.import_pipeline.ordering import by_time
from ingest.importers.mapped import parse_map
from ingest.importers.news import device
from ingest.importers.recognise import file_importers, recognise
from schemas.errors import ConfigurationInvalid, DatasetUnknown

MOVIES = 'movieId,title,genres\n1,Toy Story (1995),Adventure|Comedy\n2,"Odd, The",(no genres listed)\n'
RATINGS = "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n2,1,3.5,964981247\n"


@pytest.fixture
def movielens(tmp_path):
    (tmp_path / "movies.csv").write_text(MOVIES)
    (tmp_path / "ratings.csv").write_text(RATINGS)
    return tmp_path


@pytest.fixture
def faults():
    return RowFaults()


def write(folder, name, text):
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def test_movies_carry_genres_year_tags_and_their_imdb_id(movielens, faults):
    write(movielens, "tags.csv", "userId,movieId,tag,timestamp\n1,1,Fun,1\n2,1,fun,2\n3,1,pixar,3\n")
    write(movielens, "links.csv.gz", "movieId,imdbId,tmdbId\n1,0114709,862\n")
    toy, odd = recognise(movielens).items(faults)
    assert toy == {
        "item_id": "1",
        "title": "Toy Story (1995)",
        "categories": ["Adventure", "Comedy"],
        "tags": ["fun", "pixar"],
        "attributes": {"imdb_id": "tt0114709"},
        "published_at": datetime(1995, 1, 1, tzinfo=UTC),
    }
    assert (odd["title"], odd["categories"], odd.get("published_at")) == ("Odd, The", [], None)


def test_ratings_come_in_order_of_time(movielens, faults):
    first, second = recognise(movielens).events(faults)
    assert (first["user_id"], first["value"]) == ("2", 3.5)
    assert first["occurred_at"] == datetime.fromtimestamp(964981247, UTC)
    assert first["occurred_at"] < second["occurred_at"]


def test_malformed_rows_are_counted_and_the_first_named(movielens, faults):
    bad = "1,2\n1,2,five,3\n1,2,5,never\n1,2,3,4,5\n1,2,\n9,9,9,\n"
    write(movielens, "ratings.csv", RATINGS + bad)
    assert len(list(recognise(movielens).events(faults))) == 2
    assert faults.count == 6
    assert faults.examples[0] == "ratings.csv line 4: has 2 columns instead of 4"
    assert faults.examples[1] == "ratings.csv line 5: column rating: 'five' is not a number"
    assert len(faults.examples) == 5


def test_a_line_in_another_encoding_is_a_fault_and_not_the_end(movielens, faults):
    (movielens / "movies.csv").write_bytes(MOVIES.encode() + b"3,Am\xe9lie,Comedy\n4,Ok,Drama\n")
    assert [item["item_id"] for item in recognise(movielens).items(faults)] == ["1", "2", "4"]
    assert faults.examples == ["movies.csv line 4: is not utf-8 text"]


def test_a_damaged_gzip_is_said_to_be_damaged(movielens, faults):
    (movielens / "ratings.csv").unlink()
    (movielens / "ratings.csv.gz").write_bytes(gzip.compress(RATINGS.encode() * 50)[:-20])
    with pytest.raises(DatasetUnknown, match="damaged"):
        list(recognise(movielens).events(faults))


def test_movielens_100k_has_users_with_their_attributes(tmp_path, faults):
    genres = "|".join("01" + "0" * 17)
    (tmp_path / "u.item").write_bytes(f"1|Amélie (2001)|01-Jan-1995||http://x|{genres}\n".encode("latin-1"))
    write(tmp_path, "u.user", "1|24|M|technician|85711\n")
    write(tmp_path, "u.data.gz", "1\t1\t3\t881250949\n")
    importer = recognise(tmp_path)
    (item,), (user,), (event,) = (
        list(rows) for rows in (importer.items(faults), importer.users(faults), importer.events(faults))
    )
    assert (item["title"], item["categories"]) == ("Amélie (2001)", ["Action"])
    assert item["published_at"] == datetime(1995, 1, 1, tzinfo=UTC)
    assert user == ("1", {"age": "24", "gender": "M", "occupation": "technician", "zip_code": "85711"})
    assert (event["type"], event["value"]) == ("rating", 3.0)


@pytest.mark.parametrize(
    ("folder", "items", "users", "events"),
    [
        ("ml-latest-small", 9_742, 0, 100_836),
        ("ml-100k", 1_682, 943, 100_000),
        ("deskdrop", 0, 0, 50_618),
        ("rsc15", 0, 0, 83_846),
        ("steam-200k", 5_113, 0, 115_139),
        ("books", 10_000, 0, 0),
    ],
)
def test_the_published_sets_are_recognised_and_read_whole(datasets, faults, folder, items, users, events):
    importer = recognise(datasets / folder)
    counts = tuple(sum(1 for _ in rows(faults)) for rows in (importer.items, importer.users, importer.events))
    assert (counts, faults.count) == ((items, users, events), 0)


def test_deskdrop_keeps_session_device_and_country(datasets, faults):
    first = next(iter(recognise(datasets / "deskdrop").events(faults)))
    assert first["context"] == {"device": "desktop", "country": "BR", "region": "SP"}
    assert (first["type"], first["session_id"]) == ("view", "-8752981416571543411")


def test_diginetica_keeps_its_order_over_the_weeks(tmp_path, faults):
    for week in range(11):
        write(tmp_path, f"period_{week}.txt.gz", f"{week} 7\n")
    assert [event["session_id"] for event in recognise(tmp_path).events(faults)] == [str(week) for week in range(11)]


def test_an_unknown_folder_is_told_what_was_looked_for(tmp_path):
    with pytest.raises(DatasetUnknown, match=r"movies\.csv \+ ratings\.csv \(movielens\).*--map"):
        recognise(tmp_path)
    with pytest.raises(DatasetUnknown, match="there is no"):
        recognise(tmp_path / "nothing")
    with pytest.raises(DatasetUnknown, match="no data set is called 'netflix'; there are movielens"):
        recognise(tmp_path, dataset="netflix")


@pytest.mark.parametrize("name", ["auto", "movielens", "ml-latest-small"])
def test_a_data_set_may_be_asked_for_by_name(movielens, name):
    assert recognise(movielens, dataset=name).dataset == "movielens"
    with pytest.raises(DatasetUnknown, match=r"it looked for plays\.csv"):
        recognise(movielens, dataset="steam")


def test_another_events_csv_is_not_taken_for_deskdrop(tmp_path):
    write(tmp_path, "events.csv", "a,b\n1,2\n")
    with pytest.raises(DatasetUnknown):
        recognise(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("clicks.csv", "who;what;when;stars\nann;portal;1700000000;4\nbo;doom;2023-11-14T22:13:19Z;5\n"),
        ("clicks.tsv", "who\twhat\twhen\tstars\nann\tportal\t1700000000000\t4\nbo\tdoom\t2023-11-14 22:13:19\t5\n"),
        ("clicks.csv.gz", "who,what,when,stars\nann,portal,1700000000.0,4\nbo,doom,2023-11-14T23:13:19+01:00,5\n"),
        (
            "clicks.jsonl",
            '{"who":"ann","what":"portal","when":1700000000,"stars":4}\n{"who":"bo","what":"doom","when":"1699999999","stars":5}\n',
        ),
    ],
)
def test_any_table_is_read_with_a_map(tmp_path, faults, name, text):
    path = write(tmp_path, name, text)
    importer = recognise(path, parse_map("user=who,item=what,type=rating,value=stars,time=when"))
    bo, ann = importer.events(faults)
    assert (bo["user_id"], bo["item_id"], bo["value"], bo["type"]) == ("bo", "doom", 5.0, "rating")
    assert ann["occurred_at"] == datetime.fromtimestamp(1_700_000_000, UTC)
    assert (bo["occurred_at"] - ann["occurred_at"]).total_seconds() == -1
    assert faults.count == 0


def test_a_type_may_be_a_column_or_a_word(tmp_path, faults):
    path = write(tmp_path, "a.csv", "u,i,kind\nann,x,LIKE\nbo,y,Add To Cart\n")
    by_column = recognise(path, parse_map("user=u,item=i,type=kind"))
    assert [event["type"] for event in by_column.events(faults)] == ["like", "add_to_cart"]
    by_word = recognise(path, parse_map("user=u,item=i,type=listen"))
    assert [event["type"] for event in by_word.events(faults)] == ["listen", "listen"]
    assert by_word.types == {"listen"}


def test_a_table_without_a_header_is_mapped_by_number(tmp_path, faults):
    path = write(tmp_path, "train.tsv.gz", "0\t25\n1\t133\n")
    events = list(recognise(path, parse_map("user=1,item=2")).events(faults))
    assert [(event["user_id"], event["item_id"], event["type"]) for event in events] == [
        ("0", "25", "view"),
        ("1", "133", "view"),
    ]


def test_rows_that_a_map_cannot_read_are_named(tmp_path, faults):
    path = write(
        tmp_path,
        "a.jsonl",
        '{"u":1,"i":2,"t":1600000005}\nnot json\n[]\n{"u":1,"i":2,"t":"noon"}\n{"u":1,"i":2,"t":1600000006,"v":"x"}\n',
    )
    (event,) = recognise(path, parse_map("user=u,item=i,time=t,value=v")).events(faults)
    assert (event["user_id"], event["item_id"]) == ("1", "2")
    assert [name.split(":")[0] for name in faults.examples] == [f"a.jsonl line {n}" for n in (2, 3, 4, 5)]


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ("user", "--map user=userId"),
        ("users=u", "any of user"),
        ("item=i", "must name who it was"),
        ("user=who,item=i", "has no column 'who'; it has u, i"),
    ],
)
def test_a_map_that_cannot_work_is_explained(tmp_path, mapping, message):
    path = write(tmp_path, "a.csv", "u,i\n1,2\n")
    with pytest.raises(ConfigurationInvalid, match=message):
        recognise(path, parse_map(mapping))


def test_a_column_that_no_object_of_a_json_file_has_is_an_error(tmp_path, faults):
    path = write(tmp_path, "a.jsonl", '{"u": "ann", "i": "x"}\n{"u": "bo", "i": "y", "at": 1700000000}\n')
    with pytest.raises(ConfigurationInvalid, match=r"a\.jsonl has no column 'usr'; it has u, i"):
        recognise(path, parse_map("user=usr,item=i,time=at"))
    [bo] = recognise(path, parse_map("user=u,item=i,time=at")).events(faults)
    assert (bo["user_id"], faults.count) == ("bo", 1)


def test_a_type_in_other_letters_is_refused_by_its_name(tmp_path, faults):
    path = write(tmp_path, "a.csv", "u,i,k\nann,x,购买\n")
    [event] = recognise(path, parse_map("user=u,item=i,type=k")).events(faults)
    assert event["type"] == "购买"


def test_a_map_needs_one_file(tmp_path):
    with pytest.raises(DatasetUnknown, match="name one file"):
        recognise(tmp_path, {"user": "u"})


@pytest.mark.parametrize(
    "text", ["1700000000", "1700000000000", "1700000000000000", "1.7e18", "2023-11-14T22:13:20", "2023-11-14T22:13:20Z"]
)
def test_a_time_is_told_by_its_size_or_form(text):
    assert read_time(text) == 1_700_000_000


@given(st.lists(st.floats(0, 1e9), max_size=40), st.integers(1, 9))
def test_events_are_ordered_by_time_and_then_by_row_however_few_fit_in_memory(times, run):
    timed = [(at, number, "a.csv", {"event_id": str(number)}) for number, at in enumerate(times)]
    ordered = list(by_time(iter(timed), RowFaults(), run))
    numbers = [int(event["event_id"]) for event in ordered]
    assert sorted(numbers) == list(range(len(times)))
    assert all((times[a], a) < (times[b], b) for a, b in pairwise(numbers))


@pytest.mark.parametrize(
    ("agent", "kind"),
    [
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 9_2 like Mac OS X)", "phone"),
        ("Mozilla/5.0 (Linux; Android 6.0; Nexus 5) Mobile Safari", "phone"),
        ("Mozilla/5.0 (iPad; CPU OS 9_2)", "tablet"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "desktop"),
        ("", None),
    ],
)
def test_a_browsers_name_tells_the_kind_of_device(agent, kind):
    assert device(agent) == kind


def test_every_module_of_importers_is_discovered_and_amazon_is_tried_last():
    names = [importer.dataset for importer in file_importers()]
    assert len(names) == len(set(names)) == 14
    assert names[-1] == "amazon"
