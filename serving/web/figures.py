"""The page of statistics: published tables as rows of words."""

from __future__ import annotations

from typing import Any, Final

from schemas.statistics import KINDS, PERIODS, Kind, Period, Statistics
from serving.stores.statistics import StatisticsReader, category_names

_COUNT: Final = 20
_TITLES: Final[dict[Kind, str]] = {"best-rated": "Best rated", "most-viewed": "Most viewed", "rising": "Rising"}
_SENTENCES: Final[dict[Kind, str]] = {
    "best-rated": "The average of an item's ratings, of which each item has some average ones to begin with.",
    "most-viewed": "How many people opened an item's page, and how often that was.",
    "rising": "Events of the period beside those expected by the time before, in standard deviations.",
}


async def page_of(published: StatisticsReader, period: str, category: str) -> dict[str, Any]:
    """What the template shows; an unknown period is a month."""
    chosen: Period = next((each for each in PERIODS if each == period), "month")
    found = [(kind, await published.table(kind, chosen)) for kind in KINDS]
    names = sorted({name for _, each in found for name in category_names(each)})
    return {
        "period": chosen,
        "periods": PERIODS,
        "category": category,
        "categories": names,
        "tables": [_table(published, kind, each, category) for kind, each in found],
    }


def _table(published: StatisticsReader, kind: Kind, found: Statistics | None, category: str) -> dict[str, Any]:
    rows = [] if found is None else published.rows(found, category, _COUNT)
    columns = [name for name in (rows[0] if rows else ()) if name not in {"item_id", "title"}]
    shown = [
        {"item_id": row["item_id"], "title": row["title"], "figures": [f"{row[name]:,.4g}" for name in columns]}
        for row in rows
    ]
    return {
        "kind": kind,
        "title": _TITLES[kind],
        "sentence": _sentence(kind, found, category),
        "columns": columns,
        "rows": shown,
    }


def _sentence(kind: Kind, found: Statistics | None, category: str) -> str:
    if found is None:
        return "Nothing is published yet: run `freshet statistics`, or `freshet schedule`."
    prior = found.priors.get(category)
    more = "" if prior is None else f" Here: {prior.ratings:g} ratings of {prior.mean:.2f}."
    until = "" if found.as_of is None else f" Until {found.as_of:%Y-%m-%d %H:%M} UTC."
    return _SENTENCES[kind] + more + until
