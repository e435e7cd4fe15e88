"""Best rated, most viewed and rising, by category and period: each one SQL file over what the archive remembers.

What was retracted and who was forgotten is left out, by the same steps that make interactions.
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
from schemas.ports import Archive, Documents
from schemas.statistics import (
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

PRIOR: Final = 10.0
"""Ratings of the mean that every item begins with."""
EARLIER: Final = 4
"""Periods before the last one that say what is expected of it."""
_SECONDS: Final[Mapping[Period, float]] = {"day": DAY, "week": 7 * DAY, "month": 30 * DAY}
_US: Final = 1e6
_COLUMNS: Final = pa.schema([("item_id", pa.string()), ("category", pa.string())])


class _Times(NamedTuple):
    first_us: int | None
    last_us: int | None


class Counted(NamedTuple):
    """All that one pass over the archive gives; no model where nobody has rated anything."""

    tables: list[Statistics]
    ratings: Ratings | None


def statistics(archive: Archive, now: float, progress: Progress = quiet) -> list[Statistics]:
    """The tables of ``counted``."""
    return counted(archive, now, progress).tables


def counted(archive: Archive, now: float, progress: Progress = quiet) -> Counted:
    """Every table, and the model of predicted ratings, of events until ``now`` (seconds since 1970); periods end at the newest event.

    So an old data set has its last week too, and for a live site that is the last moment. Items that are hidden or
    were deleted are left out. ``rising`` over ``all`` is that of the last month. Raises duckdb.Error.
    """
    metadata = read_metadata(archive)
    with made_until(archive.files(topics.EVENTS), Parameters(now=now), "remembered", progress) as connection:
        _categorize(connection, metadata)
        times = _Times(*connection.execute("SELECT MIN(at_us), MAX(at_us) FROM remembered").fetchall()[0])
        tables = [_table(connection, kind, period, times, metadata) for kind in KINDS for period in PERIODS]
        return Counted(tables, _ratings(connection))


def publish(documents: Documents, found: list[Statistics], ratings: Ratings | None = None) -> None:
    """Put tables and model where serving reads them; raises JobStoreUnavailable."""
    for each in found:
        documents.write(document_of(each.kind, each.period), encode_statistics(each))
    if ratings is not None:
        documents.write(RATINGS, ratings.save())


def as_arrow(found: list[Statistics]) -> pa.Table:
    """All tables as one: kind, period, category, place, item_id, title, figure (its name), value."""
    rows = [
        {"kind": each.kind, "period": each.period, "category": category, "place": place}
        | {"item_id": item.item_id, "title": item.title, "figure": name, "value": float(value)}
        for each in found
        for category, items in each.categories.items()
        for place, item in enumerate(items, start=1)
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
    by_category = {category: list(of_it) for category, of_it in groupby(rows, key=lambda row: row["category"])}
    return Statistics(
        kind=kind,
        period=period,
        as_of=datetime.fromtimestamp(times.last_us / _US, UTC),
        categories={category: [_ranked(row, metadata) for row in of_it] for category, of_it in by_category.items()},
        priors={name: RatingPrior(of_it[0]["prior_mean"], PRIOR) for name, of_it in by_category.items()}
        if kind == "best-rated"
        else {},
    )


def _ratings(connection: duckdb.DuckDBPyConnection) -> Ratings | None:
    rated = connection.sql(_text("rated.sql")).to_arrow_table()
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
    left_out = ("category", "item_id", "prior_mean")
    figures = {name: float(value) for name, value in row.items() if name not in left_out}
    return RankedItem(row["item_id"], None if item is None else item.title, figures)


def _categorize(connection: duckdb.DuckDBPyConnection, metadata: Metadata) -> None:
    """A row for each category of each item that may be shown, and one for all of them together."""
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


def _sql(kind: Kind) -> str:
    return _text(f"{kind.replace('-', '_')}.sql")


@cache
def _text(name: str) -> str:
    return files("offline.statistics").joinpath(name).read_text()


def _dollars(sql: str, arguments: Mapping[str, Any]) -> str:
    """The statement with DuckDB's marks for parameters."""
    for name in arguments:
        sql = sql.replace(f":{name}", f"${name}")
    return sql


def selected(
    found: list[Statistics], period: Period, category: str = EVERY
) -> Iterator[tuple[Statistics, list[RankedItem]]]:
    """The tables of one period and category, one of each kind."""
    return ((each, each.categories.get(category, [])) for each in found if each.period == period)
