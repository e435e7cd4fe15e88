"""The answer of ``GET /v1/statistics/{kind}``."""

from __future__ import annotations

from schemas.http.problems import ProblemError
from schemas.http.read_answers import StatisticsAnswer
from schemas.offline.statistics import KINDS, Period
from serving.stores.statistics import StatisticsReader


async def statistics_answer(
    reader: StatisticsReader, kind: str, period: Period, category: str, count: int
) -> StatisticsAnswer:
    """A published table; raises ProblemError (404) if the kind is unknown or no table is published."""
    known_kind = next((name for name in KINDS if name == kind), None)
    if known_kind is None:
        raise ProblemError(404, "unknown-statistics", f"There are {', '.join(KINDS)}.", field="kind")
    table = await reader.table(known_kind, period)
    if table is None:
        raise ProblemError(404, "no-statistics", "No statistics are published yet; run 'freshet statistics'.")
    prior = table.priors.get(category)
    return StatisticsAnswer(
        kind=known_kind,
        period=period,
        category=category or None,
        as_of=table.as_of,
        prior=prior,
        items=reader.rows(table, category, count),
    )
