"""Best rated, most viewed and rising items by category and period. Each table is one SQL file over the archived events.

Retracted events and events of forgotten users are left out, by the same steps that compute interactions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from models.ratings import Ratings
from offline.data.archive import Progress, quiet
from offline.data.metadata import Metadata, read_metadata
from offline.interactions.duck import made_until
from offline.interactions.parameters import DAY, Parameters
from offline.training.ratings import train
from schemas.log import topics
from schemas.offline.statistics import (
    EVERY,
    KINDS,
    MOST,
    PERIODS,
    RATINGS,
    Kind,
    Period,
    RankedItem,
    RatingPrior,
    Statistics,
    document_of,
    encode_statistics,
)
from schemas.ports import Archive, Documents
from schemas.values.rating_scale import DEFAULT_SCALE, RatingScale

PRIOR: Final = 10.0
"""Number of ratings with the mean value that are added to each item (a Bayesian average)."""
EARLIER: Final = 4
"""Number of periods before the last one from which the expected count of the last one is computed."""
_SECONDS: Final[Mapping[Period, float]] = {"day": DAY, "week": 7 * DAY, "month": 30 * DAY}
_US: Final = 1e6
_COLUMNS: Final = pa.schema([("item_id", pa.string()), ("category", pa.string())])


class _Times(NamedTuple):
    first_us: int | None
    last_us: int | None


class Counted(NamedTuple):
    """Results of one pass over the archive."""

    tables: list[Statistics]
    ratings: Ratings | None
    """The model of predicted ratings; None if there are no ratings."""


def statistics(archive: Archive, now: float, progress: Progress = quiet) -> list[Statistics]:
    """Returns the tables of ``counted``, with ratings on the default scale."""
    return counted(archive, now, progress).tables


def counted(archive: Archive, now: float, progress: Progress = quiet, scale: RatingScale = DEFAULT_SCALE) -> Counted:
    """Returns all tables and the model of predicted ratings, from the events until ``now`` (seconds since 1970).

    Periods end at the newest event. So the last week of an old data set has events too. Hidden and deleted items are left
    out. For the period ``all``, ``rising`` compares the last month. Ratings that are not on ``scale`` do not count: former
    versions took any number. Raises duckdb.Error.
    """
    metadata = read_metadata(archive)
    with made_until(archive.files(topics.EVENTS), Parameters(now=now), "remembered", progress) as connection:
        _categorize(connection, metadata)
        _rate(connection, scale)
        times = _Times(*connection.execute("SELECT MIN(at_us), MAX(at_us) FROM remembered").fetchall()[0])
        tables = [_table(connection, kind, period, times, metadata) for kind in KINDS for period in PERIODS]
        return Counted(tables, _ratings(connection))


def publish(documents: Documents, tables: list[Statistics], ratings: Ratings | None = None) -> None:
    """Store the tables and the model as documents, which serving reads. Raises JobStoreUnavailable."""
    for table in tables:
        documents.write(document_of(table.kind, table.period), encode_statistics(table))
    if ratings is not None:
        documents.write(RATINGS, ratings.save())


def as_arrow(tables: list[Statistics]) -> pa.Table:
    """Returns all tables as one, with a row for each figure of each item. ``place`` is the rank of the item, from 1.

    Columns: kind, period, category, place, item_id, title, figure (the name of the figure), value.
    """
    rows = [
        {"kind": table.kind, "period": table.period, "category": category, "place": rank}
        | {"item_id": item.item_id, "title": item.title, "figure": name, "value": float(value)}
        for table in tables
        for category, items in table.categories.items()
        for rank, item in enumerate(items, start=1)
        for name, value in item.figures.items()
    ]
    texts = ("kind", "period", "category", "item_id", "title", "figure")
    schema = pa.schema([*((name, pa.string()) for name in texts), ("place", pa.int32()), ("value", pa.float64())])
    return pa.Table.from_pylist(rows, schema=schema)


def _table(
    connection: duckdb.DuckDBPyConnection, kind: Kind, period: Period, times: _Times, metadata: Metadata
) -> Statistics:
    if times.first_us is None or times.last_us is None:
        return Statistics(kind=kind, period=period, as_of=None, categories={})
    sql = _sql(kind)
    arguments = {name: value for name, value in _arguments(kind, period, times).items() if f":{name}" in sql}
    cursor = connection.execute(_dollars(sql, arguments), arguments)
    names = [column[0] for column in cursor.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    by_category = {category: list(group) for category, group in groupby(rows, key=lambda row: row["category"])}
    return Statistics(
        kind=kind,
        period=period,
        as_of=datetime.fromtimestamp(times.last_us / _US, UTC),
        categories={
            category: [_ranked(row, metadata) for row in category_rows]
            for category, category_rows in by_category.items()
        },
        priors={
            category: RatingPrior(category_rows[0]["prior_mean"], PRIOR)
            for category, category_rows in by_category.items()
        }
        if kind == "best-rated"
        else {},
    )


def _ratings(connection: duckdb.DuckDBPyConnection) -> Ratings | None:
    rated = connection.sql("SELECT person, item_id, stars FROM rated").to_arrow_table()
    if not rated.num_rows:
        return None
    people = rated["person"].combine_chunks().dictionary_encode()
    items = rated["item_id"].combine_chunks().dictionary_encode()
    stars = rated["stars"].to_numpy().astype(np.float64)
    return train(people.indices.to_numpy(), items.indices.to_numpy(), stars, items.dictionary.to_pylist())


def _arguments(kind: Kind, period: Period, times: _Times) -> dict[str, Any]:
    assert times.first_us is not None
    assert times.last_us is not None
    if period == "all" and kind != "rising":
        began = times.first_us - 1
        length = 1.0
    else:
        length = _SECONDS.get(period, _SECONDS["month"]) * _US
        began = int(times.last_us - length)
    earlier = max(times.first_us - 1, int(began - EARLIER * length))
    spans = max(0.0, (began - earlier) / length)
    return {"began_us": began, "earlier_us": earlier, "spans": spans, "prior": PRIOR, "most": MOST}


def _ranked(row: dict[str, Any], metadata: Metadata) -> RankedItem:
    item = metadata.items.get(row["item_id"])
    not_figures = ("category", "item_id", "prior_mean")
    figures = {name: float(value) for name, value in row.items() if name not in not_figures}
    return RankedItem(row["item_id"], None if item is None else item.title, figures)


def _categorize(connection: duckdb.DuckDBPyConnection, metadata: Metadata) -> None:
    """Creates the table ``categories``: for each item that may be shown, a row for each category and one for EVERY."""
    pairs = [(item_id, category) for item_id, item in metadata.items.items() for category in item.categories]
    unwanted = [*metadata.gone, *(item_id for item_id, item in metadata.items.items() if item.hidden)]
    connection.register(
        "named", pa.Table.from_pylist([dict(zip(_COLUMNS.names, p, strict=True)) for p in pairs], _COLUMNS)
    )
    connection.register("unwanted", pa.table({"item_id": pa.array(unwanted, pa.string())}))
    connection.execute(
        """
        CREATE TEMP TABLE categories AS
        SELECT item_id, category FROM (
            SELECT item_id, category FROM named
            UNION
            SELECT DISTINCT item_id, $every FROM remembered
        )
        WHERE item_id NOT IN (SELECT item_id FROM unwanted)
        """,
        {"every": EVERY},
    )


def _rate(connection: duckdb.DuckDBPyConnection, scale: RatingScale) -> None:
    """Make the table ``rated``: the newest rating of each person and item."""
    arguments = {"lowest": scale.low, "highest": scale.high}
    connection.execute(f"CREATE TEMP TABLE rated AS {_dollars(_text('rated.sql'), arguments)}", arguments)


def _sql(kind: Kind) -> str:
    return _text(f"{kind.replace('-', '_')}.sql")


@cache
def _text(name: str) -> str:
    return files("offline.statistics").joinpath(name).read_text()


def _dollars(sql: str, arguments: Mapping[str, Any]) -> str:
    """Returns the statement with parameters as DuckDB marks them: ``$name`` instead of ``:name``."""
    for name in arguments:
        sql = sql.replace(f":{name}", f"${name}")
    return sql


def selected(
    tables: list[Statistics], period: Period, category: str = EVERY
) -> Iterator[tuple[Statistics, list[RankedItem]]]:
    """Yields the tables of one period, each with its items of one category."""
    return ((table, table.categories.get(category, [])) for table in tables if table.period == period)
