"""The same rows on Spark and DuckDB: equal keys and counts, and floats to 1e-9."""

from __future__ import annotations

import csv
import json
import random
from datetime import UTC, datetime

import pytest

from adapters.parquet.archive import ParquetArchive
from offline.interactions import Parameters, WeightStep, run_duckdb, run_spark
from schemas.events import LoggedEvent
from schemas.log.codec import encode_event
from schemas.log.records import Record
from schemas.log.topics import partition_of

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(900)]

START = 1_699_920_000
DAYS = 86_400
NOW = START + 40.0 * DAYS
TEXTS = ["1", "é", "😀", "a:1", "u:1", "%_'\"\\", " ", "日本", "x" * 128, "null", "A", "a"]


def compared(spark, files, parameters):
    """The rows of both engines, which must be the same."""
    rows = []
    for table in (run_duckdb(files, parameters), run_spark(spark, files, parameters).toArrow()):
        assert table.column_names == ["user", "item", "weight", "events", "first_at", "at"]
        rows.append({(row["user"], row["item"]): row for row in table.to_pylist()})
        assert len(rows[-1]) == table.num_rows
    duck, on_spark = rows
    assert duck.keys() == on_spark.keys()
    for pair, row in duck.items():
        other = on_spark[pair]
        assert (row["events"], row["first_at"], row["at"]) == (other["events"], other["first_at"], other["at"]), pair
        assert row["weight"] == pytest.approx(other["weight"], rel=1e-9, abs=0), pair
    return duck


def test_real_ratings_give_the_same_rows(spark, datasets, tmp_path):
    archive, ratings = ParquetArchive(tmp_path), datasets / "ml-latest-small" / "ratings.csv"
    with ratings.open() as file:
        events = [_rating(row) for row in csv.DictReader(file) if int(row["userId"]) % 3 == 0]
    _write(archive, [(event.user_id, encode_event(event)) for event in events])
    parameters = Parameters(now=NOW, half_life_days=365.0, item_minimum=5, user_minimum=5)
    found = compared(spark, archive.files("events"), parameters)
    assert len(found) > 20_000


def _rating(row):
    at = datetime.fromtimestamp(int(row["timestamp"]), UTC)
    user, item = row["userId"], row["movieId"]
    return LoggedEvent(
        event_id=f"{user}-{item}",
        type="rating",
        user_id=user,
        item_id=item,
        value=float(row["rating"]),
        occurred_at=at,
        received_at=at,
    )


@pytest.mark.parametrize(
    "parameters",
    [
        Parameters(now=NOW, half_life_days=0.7),
        Parameters(now=NOW, binary=True, guests=False, item_minimum=2, user_minimum=2),
        Parameters(
            now=NOW, weights={"view": (WeightStep(-5.0, 0.1), WeightStep(1e-3, 1e6)), "like": 3.3, "own_type": 0.7}
        ),
        Parameters(now=NOW, kept_days={"view": 40.0 - 1_500.5 / DAYS, "like": 40.0 - 600.5 / DAYS}),
    ],
    ids=["decayed", "binary", "own weights", "kept for days"],
)
def test_nasty_events_give_the_same_rows(spark, tmp_path, parameters):
    archive = ParquetArchive(tmp_path)
    drawn = random.Random(7)
    _write(archive, [_nasty(drawn, i) for i in range(4_000)])
    # The same once more: as two racing archivers leave it, and as a replay into another log does.
    overlapping = list(archive.read("events", "log", 0, 100, 300))
    archive.write("log", overlapping)
    archive.write("another log", list(archive.read("events", "log", 1, 0, 10_000)))
    found = compared(spark, archive.files("events"), parameters)
    assert len(found) > 30


def test_an_empty_archive_gives_no_rows(spark):
    assert compared(spark, [], Parameters(now=NOW)) == {}


def test_everything_that_can_go_wrong_with_json_gives_the_same_rows(spark, tmp_path):
    archive = ParquetArchive(tmp_path)
    _write(archive, [("1", raw) for raw in _raw_values()])
    found = compared(spark, archive.files("events"), Parameters(now=NOW))
    assert {item for _, item in found} == {"é😀\n/", "nul\x00", "before", "after"}


def _raw_values():
    times = '"occurred_at": "2023-11-14T00:00:00Z", "received_at": "2023-11-14T00:00:00Z"'
    good = '{{"event_id": "{0}", "type": "view", "user_id": "1", "item_id": {1}, ' + times + "}}"
    yield good.format("first", '"before"').encode()
    yield good.format("escapes", '"\\u00e9\\ud83d\\ude00\\n\\/"').encode()
    yield good.format("zero", '"nul\\u0000"').encode()
    yield good.format("lone", '"\\ud800"').encode()
    yield good.format("control", '"a\tb"').encode()
    yield good.format("bare", "broken").encode()
    yield good.format("null", "null").encode()
    yield good.format("half", '"half"').encode()[:-1]
    yield good.format("latin", '"é"').encode("latin-1")
    yield good.format("bom", '"bom"').encode("utf-8-sig")
    yield from (b"", b" ", b"{", b"[]", b"null", b'"text"', b"{}", b"\x00", b"[1, 2]", b"true")
    yield good.format("last", '"after"').encode()


def _nasty(drawn, number):
    """A record's key and value: few people and items, so that everything meets everything."""
    kinds = ["view", "like", "unlike", "rating", "dwell", "dislike", "own_type", "identify", "retract", "search"]
    kind = drawn.choice(kinds) if drawn.random() > 0.002 else "forget"
    body = {
        "event_id": f"e{drawn.randrange(3_000)}",
        "type": kind,
        "user_id": drawn.choice([*TEXTS, None]),
        "anonymous_id": drawn.choice([*TEXTS, None, None]),
        "session_id": drawn.choice(["s", None]),
        "item_id": drawn.choice([*TEXTS, None, "", "x" * 129]),
        "value": drawn.choice([None, 0, 3, 4.0, 5, 1e-3, -2, 1e3, 3.9999999999, 12.5]),
        "occurred_at": _time(drawn),
        "received_at": "2023-11-14T00:00:00Z",
        "properties": {"event_id": "not this one", "nested": [{"type": "nor this"}]},
    }
    dropped = drawn.choice([*body, *[None] * 60])
    body = {name: value for name, value in body.items() if name != dropped and drawn.random() < 0.99}
    key = body.get("user_id") or body.get("anonymous_id") or "s"
    return key, json.dumps(body, ensure_ascii=drawn.random() < 0.5).encode()


def _time(drawn):
    at = datetime.fromtimestamp(START - drawn.randrange(30 * DAYS), UTC)
    endings = ["Z", ".5Z", ".000001Z", ".123456+00:00", "+05:30", "-11:00"]
    odd = ["yesterday", "", "10:00:00Z", "2023-11-14", "2023-02-30T00:00:00Z", "1899-12-31T23:59:59Z"]
    return at.strftime("%Y-%m-%dT%H:%M:%S") + drawn.choice(endings) if drawn.random() < 0.95 else drawn.choice(odd)


def _write(archive, pairs):
    """Archive keys and values as consecutive records, a second apart."""
    partitions: dict[int, list[Record]] = {}
    for second, (key, value) in enumerate(pairs):
        mine = partitions.setdefault(partition_of(key.encode(), 4), [])
        mine.append(Record("events", len(partitions), len(mine), (START + second) * 1_000, key.encode(), value))
    for number, records in enumerate(partitions.values()):
        archive.write("log", [record._replace(partition=number) for record in records])
