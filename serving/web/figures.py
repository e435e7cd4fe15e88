"""The page of statistics: turns published tables into rows of text."""

from __future__ import annotations

from typing import Any, Final

from schemas.offline.statistics import KINDS, PERIODS, Kind, Period, Statistics
from serving.stores.statistics import StatisticsReader, category_names

_COUNT: Final = 20
_TITLES: Final[dict[Kind, str]] = {"best-rated": "Best rated", "most-viewed": "Most viewed", "rising": "Rising"}
_SENTENCES: Final[dict[Kind, str]] = {
    "best-rated": "The average of an item's ratings, of which each item has some average ones to begin with.",
    "most-viewed": "How many people opened an item's page, and how often that was.",
    "rising": "Events of the period beside those expected by the time before, in standard deviations.",
}


async def page_of(published: StatisticsReader, period: str, category: str) -> dict[str, Any]:
    """The values of the template. An unknown period becomes a month."""
    chosen: Period = next((known_period for known_period in PERIODS if known_period == period), "month")
    tables = [(kind, await published.table(kind, chosen)) for kind in KINDS]
    names = sorted({name for _, table in tables for name in category_names(table)})
    return {
        "period": chosen,
        "periods": PERIODS,
        "category": category,
        "categories": names,
        "tables": [_table(published, kind, table, category) for kind, table in tables],
    }


def _table(published: StatisticsReader, kind: Kind, statistics: Statistics | None, category: str) -> dict[str, Any]:
    rows = [] if statistics is None else published.rows(statistics, category, _COUNT)
    columns = [name for name in (rows[0] if rows else ()) if name not in {"item_id", "title"}]
    table_rows = [
        {"item_id": row["item_id"], "title": row["title"], "figures": [f"{row[name]:,.4g}" for name in columns]}
        for row in rows
    ]
    return {
        "kind": kind,
        "title": _TITLES[kind],
        "sentence": _sentence(kind, statistics, category),
        "columns": columns,
        "rows": table_rows,
    }


def _sentence(kind: Kind, statistics: Statistics | None, category: str) -> str:
    if statistics is None:
        return "Nothing is published yet: run `freshet statistics`, or `freshet schedule`."
    prior = statistics.priors.get(category)
    prior_sentence = "" if prior is None else f" Here: {prior.ratings:g} ratings of {prior.mean:.2f}."
    as_of_sentence = "" if statistics.as_of is None else f" Until {statistics.as_of:%Y-%m-%d %H:%M} UTC."
    return _SENTENCES[kind] + prior_sentence + as_of_sentence
