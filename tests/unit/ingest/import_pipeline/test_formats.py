"""The data sets' published forms, by a few rows of each; whole ones are read in test_importers."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from operator import itemgetter

import pytest

from ingest.import_pipeline.base import RowFaults
from ingest.import_pipeline.row_ids import RowIds
from ingest.importers.recognise import recognise
from ingest.validation.validate import policy, validate_event, validate_item
from schemas.errors import DatasetUnknown

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def faults():
    return RowFaults()


def written(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "-").replace("_dot_", ".")
        data = text if isinstance(text, bytes) else text.encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return folder


def read(folder, faults, dataset):
    """What an importer says, after the collector's own validation."""
    importer = recognise(folder)
    assert importer.dataset == dataset
    items, users, events = (
        list(importer.items(faults)),
        list(importer.users(faults)),
        list(importer.events(faults)),
    )
    for item in items:
        validate_item(item, NOW)
    for event in events:
        validate_event(event, NOW, str, policy(importer.types))
    assert [dict(event) for event in recognise(folder).events(faults)] == [dict(event) for event in events]
    RowIds().assign(events)
    assert len({event["event_id"] for event in events}) == len(events)
    return items, users, events


def test_movielens_1m_has_double_colons_latin_1_and_people_by_number(tmp_path, faults):
    written(
        tmp_path,
        movies_dot_dat="1::Misérables, Les (1995)::Drama|Musical\n".encode("latin-1"),
        users_dot_dat="1::F::25::12::48067\n",
        ratings_dot_dat="1::1::5::978300760\n2::1::3::978300700\n",
    )
    (movie,), ((name, attributes),), events = read(tmp_path, faults, "ml-1m")
    assert (movie["title"], movie["categories"]) == ("Misérables, Les (1995)", ["Drama", "Musical"])
    assert movie["published_at"] == datetime(1995, 1, 1, tzinfo=UTC)
    assert (name, attributes["occupation"], attributes["age"]) == ("1", "programmer", "25")
    assert [(event["user_id"], event["value"]) for event in events] == [("2", 3.0), ("1", 5.0)]


AMAZON = {
    "2018": (
        {"reviewerID": "A1", "asin": "B1", "overall": 4.0, "unixReviewTime": 1362873600, "reviewText": "fine"},
        {"asin": "B1", "title": "Lamp", "category": ["Home", "Light"], "price": "$12.50", "brand": "Lux"},
        {"categories": ["Home", "Light"], "price": 12.5, "attributes": {"brand": "Lux"}},
    ),
    "2023": (
        {"user_id": "A1", "asin": "B1-red", "parent_asin": "B1", "rating": 4.0, "timestamp": 1362873600000},
        {
            "parent_asin": "B1",
            "title": "Lamp",
            "categories": [],
            "main_category": "Home",
            "price": None,
            "store": "Lux",
        },
        {"categories": ["Home"], "attributes": {"brand": "Lux"}},
    ),
}


@pytest.mark.parametrize("year", AMAZON)
def test_amazons_reviews_and_products_are_told_by_what_they_hold(tmp_path, faults, year):
    review, product, expected = AMAZON[year]
    written(tmp_path, Lamps_dot_jsonl_dot_gz=json.dumps(review) + "\n", meta_dot_jsonl=json.dumps(product) + "\n")
    (item,), _, (event,) = read(tmp_path, faults, "amazon")
    assert item == {"item_id": "B1", "title": "Lamp"} | expected
    assert itemgetter("user_id", "item_id", "value")(event) == ("A1", "B1", 4.0)
    assert event["occurred_at"] == datetime(2013, 3, 10, tzinfo=UTC)


def test_amazons_products_of_2014_are_pythons_dictionaries(tmp_path, faults):
    written(
        tmp_path,
        meta_dot_json="{'asin': 'B1', 'title': \"Bob's\", 'categories': [['Home', 'Light'], ['Home']]}\n{'asin\n",
    )
    (item,), _, _ = read(tmp_path, faults, "amazon")
    assert (item["title"], item["categories"]) == ("Bob's", ["Home", "Light"])
    assert faults.examples[0].startswith("meta.json line 2: is not JSON")


def test_a_json_file_of_something_else_is_not_amazons(tmp_path):
    written(tmp_path, package_dot_json='{"name": "x"}\n', broken_dot_json="[[[\n")
    with pytest.raises(DatasetUnknown, match="--map"):
        recognise(tmp_path)


def test_steams_reviews_count_by_the_hours_of_their_writers(tmp_path, faults):
    written(
        tmp_path,
        steam_reviews_dot_json_dot_gz="{u'username': u'Zoë', u'hours': 2.5, u'product_id': u'70', u'date': u'2017-12-17'}\n"
        '{"username": "bo", "product_id": "70", "date": "2016-01-02"}\n',
        steam_games_dot_json="{u'id': u'70', u'app_name': u'Half-Life', u'genres': [u'Action'], u'tags': [u'FPS']}\n",
    )
    (game,), _, (old, new) = read(tmp_path, faults, "steam-reviews")
    assert (game["title"], game["categories"], game["tags"]) == ("Half-Life", ["Action"], ["FPS"])
    assert (old["type"], new["type"], new["user_id"], new["value"]) == ("comment", "dwell", "Zoë", 9_000.0)


def test_steams_plays_without_a_header_are_known_by_their_title(tmp_path, faults):
    written(
        tmp_path,
        steam__200k_dot_csv="9,Portal,purchase,1.0,0\n9,Portal,play,3.0,0\n9,Half-Life,purchase,1.0,0\n",
    )
    items, _, events = read(tmp_path, faults, "steam-200k")
    assert [item["item_id"] for item in items] == ["Portal", "Half-Life"]
    assert [(event["type"], event.get("value")) for event in events] == [
        ("purchase", None),
        ("dwell", 10_800.0),
        ("purchase", None),
    ]


def test_retailrockets_visitors_are_guests_and_items_have_their_newest_category(tmp_path, faults):
    written(
        tmp_path,
        events_dot_csv="timestamp,visitorid,event,itemid,transactionid\n"
        "1433221332117,257597,view,355908,\n1433221999827,257597,transaction,355908,4000\n",
        item_properties_part1_dot_csv="timestamp,itemid,property,value\n2,355908,categoryid,7\n1,355908,888,x\n",
        item_properties_part2_dot_csv="timestamp,itemid,property,value\n1,355908,categoryid,5\n",
    )
    (item,), _, events = read(tmp_path, faults, "retailrocket")
    assert item == {"item_id": "355908", "categories": ["7"]}
    assert [(event["type"], event["anonymous_id"]) for event in events] == [("view", "257597"), ("purchase", "257597")]


def test_mind_says_what_was_shown_and_then_what_was_clicked(tmp_path, faults):
    written(
        tmp_path,
        news_dot_tsv='N1\tsports\tgolf\tA "title"\tMore\thttp://x\t[]\t[]\n',
        behaviors_dot_tsv="1\tU1\t11/11/2019 9:05:58 PM\tN7 N8\tN1-0 N2-1\n2\tU1\t11/10/2019 9:05:58 AM\t\tN3-0\n",
    )
    (article,), _, (early, shown, clicked) = read(tmp_path, faults, "mind")
    assert (article["title"], article["categories"]) == ('A "title"', ["sports", "golf"])
    assert (early["type"], early["impression"]) == ("impression", ["N3"])
    assert (shown["type"], shown["impression"]) == ("impression", ["N1", "N2"])
    assert (clicked["type"], clicked["item_id"], clicked["position"]) == ("click", "N2", 1)
    assert clicked["occurred_at"] == shown["occurred_at"] == datetime(2019, 11, 11, 21, 5, 58, tzinfo=UTC)


def test_the_sample_of_mind_is_read_whole(datasets, faults):
    importer = recognise(datasets / "news")
    kinds = [event["type"] for event in importer.events(faults)]
    assert (sum(1 for _ in importer.items(faults)), kinds.count("impression"), faults.count) == (2_000, 5_000, 0)
    assert kinds.count("click") > 5_000


def test_yoochooses_clicks_and_purchases_are_one_stream(tmp_path, faults):
    written(
        tmp_path,
        yoochoose__clicks_dot_dat="1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:57:09.868Z,214536500,S\n",
        yoochoose__buys_dot_dat="1,2014-04-07T10:54:09.868Z,214536502,1046,2\n",
    )
    _, _, events = read(tmp_path, faults, "yoochoose")
    assert [event["type"] for event in events] == ["click", "purchase", "click"]
    assert events[1]["properties"] == {"price": 1046.0, "quantity": 2.0}


@pytest.mark.parametrize("names", ["sessionId;userId;itemId;timeframe;eventdate", "session_id;user_id;item_id;t;date"])
def test_diginetica_as_published_has_days_and_milliseconds(tmp_path, faults, names):
    written(
        tmp_path,
        train__item__views_dot_csv=f"{names}\n1;NA;81766;526309;2016-05-09\n1;7;31331;1031018;2016-05-09\n",
        train__purchases_dot_csv="sessionId;userId;timeframe;eventdate;ordernumber;itemId\n1;NA;900000;2016-05-09;5;81766\n",
        product__categories_dot_csv="itemId;categoryId\n81766;12\n",
    )
    (item,), _, events = read(tmp_path, faults, "diginetica-views")
    assert item["categories"] == ["12"]
    assert [(event["type"], event.get("user_id")) for event in events] == [
        ("view", None),
        ("purchase", None),
        ("view", "7"),
    ]
    assert events[0]["occurred_at"] == datetime(2016, 5, 9, 0, 8, 46, 309_000, tzinfo=UTC)


@pytest.mark.parametrize("books", [True, False])
def test_goodbooks_ratings_keep_the_order_of_their_file(tmp_path, faults, books):
    written(tmp_path, ratings_dot_csv="user_id,book_id,rating\n2,258,5\n1,258,4\n")
    if books:
        written(tmp_path, books_dot_csv="book_id,title,authors\n258,The Shadow of the Wind,C. R. Z.\n")
    items, _, events = read(tmp_path, faults, "goodbooks")
    assert len(items) == books
    assert [(event["user_id"], event["value"], "occurred_at" in event) for event in events] == [
        ("2", 5.0, False),
        ("1", 4.0, False),
    ]


WRONG = {
    "a column is missing": (
        {"movies_dot_csv": "movieId,title,genres\n", "ratings_dot_csv": "user,movie,rating,timestamp\n1,2,3,4\n"},
        r"ratings\.csv line 1 names no column 'userId': it has user, movie, rating, timestamp",
    ),
    "no row can be read": (
        {"ratings_dot_dat": "1::2::five::9\n1::2::six::9\n", "movies_dot_dat": ""},
        r"not the file that it is taken for; ratings\.dat line 1: column rating: 'five' is not a number",
    ),
    "another delimiter": (
        {"ratings_dot_dat": "1,2,5,9\n1,2,4,9\n", "movies_dot_dat": ""},
        r"ratings\.dat line 1: has 1 columns instead of 4",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_file_is_named_with_its_line_and_column(tmp_path, faults, wrong):
    files, message = WRONG[wrong]
    with pytest.raises(DatasetUnknown, match=message):
        list(recognise(written(tmp_path, **files)).events(faults))


def test_a_wrong_file_is_not_read_to_its_end(tmp_path, faults):
    written(tmp_path, ratings_dot_dat="1::2::x::9\n" * 5_000, movies_dot_dat="")
    with pytest.raises(DatasetUnknown):
        list(recognise(tmp_path).events(faults))
    assert faults.count == 1_000


def test_a_reading_tells_how_far_it_is(tmp_path):
    told = []
    text = "1::2::3::978300760\n" * 20_000
    written(tmp_path, ratings_dot_dat_dot_gz=text, movies_dot_dat="")
    list(recognise(tmp_path).events(RowFaults(watch=lambda *told_: told.append(told_))))
    assert {name for name, _, _ in told} == {"ratings.dat.gz"}
    assert told[-1][1] == told[-1][2] == (tmp_path / "ratings.dat.gz").stat().st_size
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
