from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.parquet.archive import ParquetArchive
from adapters.sqlite.jobs import SqliteDocuments
from models.ratings import Ratings
from offline.statistics.statistics import PRIOR, as_arrow, counted, publish, selected, statistics
from schemas.catalogue import Upsert, encode_upsert
from schemas.log.records import Record
from schemas.offline.statistics import RATINGS, decode_statistics, document_of
from schemas.values.rating_scale import RatingScale

NOW = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
DAY = 86_400


def an_event(kind, user, item, ago=0.0, value=None, event_id=None):
    return {"type": kind, "user_id": user, "item_id": item, "ago": ago, "value": value, "event_id": event_id}


@pytest.fixture
def archive(tmp_path):
    return ParquetArchive(tmp_path / "archive")


@pytest.fixture
def tables(archive):
    """Archives events and gives each table's figures: ``tables(events)["rising", "week", "puzzle"]``."""

    def tables(events, archive=archive):
        archive.write("log", [_record(offset, event) for offset, event in enumerate(events)])
        return found_in(archive)

    return tables


def found_in(archive):
    return {
        (each.kind, each.period, category): {item.item_id: item.figures for item in items}
        for each in statistics(archive, NOW + DAY)
        for category, items in each.categories.items()
    }


def _record(offset, event):
    at = NOW - event["ago"]
    body = {name: value for name, value in event.items() if name != "ago" and value is not None}
    body |= {"event_id": event["event_id"] or f"e{offset}", "occurred_at": _text(at), "received_at": _text(at)}
    return Record("events", 0, offset, int(NOW * 1_000), b"", json.dumps(body).encode())


def _text(at):
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def describe(archive, *items):
    upserts = [
        Upsert(id=item_id, op="put", fields=fields, received_at=datetime.fromtimestamp(NOW, UTC))
        if fields is not None
        else Upsert(id=item_id, op="delete", fields={}, received_at=datetime.fromtimestamp(NOW, UTC))
        for item_id, fields in items
    ]
    records = [Record("items", 0, n, int(NOW * 1_000), b"", encode_upsert(each)) for n, each in enumerate(upserts)]
    archive.write("log", records)


def ratings(item, *stars, start=0):
    return [an_event("rating", f"{item}-{start + n}", item, value=value) for n, value in enumerate(stars)]


def test_one_five_is_no_champion_over_many_good_ratings(tables):
    found = tables([*ratings("often", *[5.0] * 30, 4.0), *ratings("once", 5.0), *ratings("poor", *[2.0] * 9)])
    best = found["best-rated", "all", ""]
    assert list(best) == ["often", "once", "poor"]
    mean = (154 + 5 + 18) / 41
    assert best["once"]["average"] == pytest.approx((PRIOR * mean + 5) / (PRIOR + 1))
    assert best["once"]["ratings"] == 1


def test_the_prior_is_shown_and_is_each_categorys_own(archive, tables):
    describe(archive, ("a", {"title": "A", "categories": ["x"]}), ("b", {"title": "B", "categories": ["y"]}))
    tables([*ratings("a", 5.0, 4.0), *ratings("b", 1.0)])
    [best] = [each for each in statistics(archive, NOW) if (each.kind, each.period) == ("best-rated", "all")]
    assert {name: round(prior.mean, 3) for name, prior in best.priors.items()} == {"": 3.333, "x": 4.5, "y": 1.0}
    assert {prior.ratings for prior in best.priors.values()} == {PRIOR}
    assert best.categories["x"][0].title == "A"


def test_a_person_who_looks_ten_times_is_one(tables):
    events = [an_event("view", "ann", "fan") for _ in range(10)] + [an_event("click", u, "many") for u in "abc"]
    viewed = tables(events)["most-viewed", "all", ""]
    assert viewed == {"many": {"people": 3, "views": 3}, "fan": {"people": 1, "views": 10}}
    assert list(viewed) == ["many", "fan"]


def test_periods_end_at_the_newest_event(tables):
    ago = {"now": 0, "today": 0.9 * DAY, "week": 6 * DAY, "month": 29 * DAY, "long ago": 400 * DAY}
    found = tables([an_event("view", "ann", item, since) for item, since in ago.items()])
    counted = {period: set(found["most-viewed", period, ""]) for period in ("day", "week", "month", "all")}
    assert counted == {
        "day": {"now", "today"},
        "week": {"now", "today", "week"},
        "month": {"now", "today", "week", "month"},
        "all": set(ago),
    }


def test_what_has_more_events_than_the_weeks_before_let_expect_is_rising(tables):
    steady = [an_event("view", f"s{n}", "steady", (n % 35) * DAY) for n in range(70)]
    rising = [an_event("view", f"r{n}", "rising", (n % 6) * DAY) for n in range(20)]
    falling = [an_event("view", f"f{n}", "falling", (10 + n % 20) * DAY) for n in range(40)]
    old = [an_event("view", "o", "old", 35 * DAY)]
    found = tables([*steady, *rising, *falling, *old])["rising", "week", ""]
    assert "falling" not in found
    assert next(iter(found)) == "rising"
    assert found["rising"] == {"rise": 20.0, "recent": 20.0, "expected": 0.0}


def test_without_a_time_before_nothing_rises(tables):
    assert ("rising", "week", "") not in tables([an_event("view", f"u{n}", "i", n) for n in range(20)])


def test_retracted_and_forgotten_events_are_left_out(tables):
    events = [
        an_event("view", "ann", "i", event_id="e-1"),
        an_event("view", "bob", "i"),
        an_event("view", "gone", "i"),
        an_event("retract", "ann", None, event_id="e-1"),
        an_event("forget", "gone", None),
    ]
    assert tables(events)["most-viewed", "all", ""] == {"i": {"people": 1, "views": 1}}


def test_hidden_and_deleted_items_are_left_out_and_those_never_described_are_not(archive, tables):
    describe(archive, ("hidden", {"title": "H", "hidden": True}), ("deleted", {"title": "D"}), ("deleted", None))
    found = tables([an_event("view", "ann", item) for item in ("hidden", "deleted", "bare")])
    assert set(found["most-viewed", "all", ""]) == {"bare"}


def test_an_empty_archive_has_empty_tables(archive):
    found = statistics(archive, NOW)
    assert len(found) == 12
    assert all(each.categories == {} and each.as_of is None for each in found)
    assert as_arrow(found).num_rows == 0


def test_tables_are_published_and_written_as_one_arrow_table(archive, tables, tmp_path):
    tables([*ratings("a", 5.0, 4.0), an_event("view", "ann", "a")])
    found = statistics(archive, NOW)
    documents = SqliteDocuments(tmp_path)
    publish(documents, found)
    for each in found:
        assert decode_statistics(documents.read(document_of(each.kind, each.period))) == each
    documents.close()
    rows = as_arrow(found).to_pylist()
    assert {"kind": "most-viewed", "period": "day", "figure": "people", "value": 1.0, "place": 1}.items() <= next(
        row for row in rows if row["kind"] == "most-viewed"
    ).items()
    assert [len(items) for _, items in selected(found, "day")] == [1, 1, 0]
    msgspec.json.encode(found)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.sampled_from([1.0, 3.0, 5.0])), min_size=1)
)
def test_averages_are_those_of_a_plain_count(tmp_path_factory, rated):
    archive = ParquetArchive(tmp_path_factory.mktemp("archive"))
    events = [an_event("rating", user, item, value=stars) for user, item, stars in rated]
    archive.write("log", [_record(offset, event) for offset, event in enumerate(events)])
    found = found_in(archive)["best-rated", "all", ""]
    newest = {(user, item): stars for user, item, stars in rated}
    stars_of = defaultdict(list)
    for (_, item), stars in newest.items():
        stars_of[item].append(stars)
    mean = sum(newest.values()) / len(newest)
    assert {item: figures["average"] for item, figures in found.items()} == {
        item: pytest.approx((PRIOR * mean + sum(stars)) / (PRIOR + len(stars))) for item, stars in stars_of.items()
    }


def test_the_newest_ratings_make_a_model_of_predicted_ratings(archive, tables, tmp_path):
    tables([*ratings("good", 5.0, 5.0, 4.0), *ratings("bad", 1.0, 2.0), an_event("view", "ann", "a")])
    found = counted(archive, NOW)
    documents = SqliteDocuments(tmp_path)
    publish(documents, found.tables, found.ratings)
    model = Ratings.load(documents.read(RATINGS))
    documents.close()
    good, bad, other = model.predict({}, ["good", "bad", "a"])
    assert 5 > good > other > bad > 1
    assert counted(ParquetArchive(tmp_path / "none"), NOW).ratings is None


def test_a_person_counts_once_for_an_item_by_the_newest_rating(tables):
    once = [an_event("rating", "ann", "a", ago=DAY, value=1.0), an_event("rating", "bob", "a", value=4.0)]
    stuffed = [an_event("rating", "ann", "a", ago=DAY - n, value=5.0) for n in range(1, 40)]
    found = tables([*once, *stuffed])["best-rated", "all", ""]["a"]
    assert (found["ratings"], found["mean"]) == (2.0, 4.5)


@pytest.mark.parametrize("wild", [1e308, -1e9, 5.5, -0.5])
def test_a_rating_on_no_scale_changes_nothing(archive, tables, wild):
    before = tables([*ratings("good", 5.0, 4.0), *ratings("bad", 1.0, 2.0)])["best-rated", "all", ""]
    model = counted(archive, NOW).ratings
    archive.write("wild", [_record(0, an_event("rating", "eve", "good", value=wild))])
    assert found_in(archive)["best-rated", "all", ""] == before
    assert (
        counted(archive, NOW).ratings.predict({}, ["good", "bad"]).tolist()
        == model.predict({}, ["good", "bad"]).tolist()
    )


def test_the_scale_of_the_site_says_which_ratings_count(archive, tables):
    tables(ratings("good", 9.0, 8.0))
    (table, *_) = counted(archive, NOW + DAY, scale=RatingScale(0, 10)).tables
    assert table.categories[""][0].figures["mean"] == 8.5
