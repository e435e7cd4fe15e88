"""Evaluates the filters of a request before it is ranked, in turns with other requests.

Columns are read once, on another thread, and the result of a filter is remembered, so that ranking only looks it up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import closing
from time import perf_counter
from typing import Any, Final

from schemas.answers import Boost, RecommendationRequest
from schemas.http.problems import ProblemError
from serving.filtering.columns import Steps
from serving.filtering.expressions import Expression
from serving.filtering.fields import FieldNotReady, Fields, Path
from serving.ranking.business_rules import expressions_of
from serving.service.column_reading import ColumnReading

MAX_COLUMNS: Final = 32
"""Most columns that one request may have made."""
_TURN_SECONDS: Final = 0.002
"""Time for which filters are evaluated before other requests get their turn."""
_PAUSE_SECONDS: Final = 0.001
_ROUNDS: Final = 3
"""Attempts to evaluate all filters without a change of an item meanwhile; ranking evaluates them after the last one."""


class FilterPreparation:
    """Used from one event loop. All requests together hold it for one turn, then pause."""

    def __init__(self, fields: Fields, boosts: Sequence[Boost], seconds: float = 10.0) -> None:
        """``boosts`` are those of the configuration; a request waits up to ``seconds`` for columns."""
        self._fields, self._boosts = fields, boosts
        self._columns = ColumnReading(fields, seconds)
        self._turn = asyncio.Lock()

    def close(self) -> None:
        """End the thread that reads columns."""
        self._columns.close()

    async def prepare(self, request: RecommendationRequest) -> None:
        """Evaluate the request's filter and all boosts; raises ProblemError where they read too many or too large fields."""
        expressions = expressions_of(request, self._boosts)
        if self._are_remembered(expressions, request):
            return
        paths = frozenset(path for expression in expressions for path in expression.paths)
        self._check_columns(paths)
        not_ready: FieldNotReady | None = None
        for _ in range(_ROUNDS):
            await self._columns.wait_for(paths)
            not_ready = await self._evaluate(expressions, request)
            if self._are_remembered(expressions, request):
                return
        if not_ready:
            raise not_ready

    async def _evaluate(
        self, expressions: Sequence[Expression], request: RecommendationRequest
    ) -> FieldNotReady | None:
        """Evaluate once; returns the fault where other requests have had a column let go meanwhile."""
        try:
            for expression in expressions:
                await self._run(expression.steps(request, self._fields))
        except FieldNotReady as fault:
            return fault
        finally:
            self._fields.fit()
        return None

    def _are_remembered(self, expressions: Sequence[Expression], request: RecommendationRequest) -> bool:
        return all(expression.is_remembered(request, self._fields) for expression in expressions)

    def _check_columns(self, paths: Collection[Path]) -> None:
        if sum(not self._fields.is_ready(path) for path in paths) > MAX_COLUMNS:
            detail = f"filter and boosts read more than {MAX_COLUMNS} fields that no request has read lately"
            raise ProblemError(400, "invalid", detail, field="filter")

    async def _run(self, steps: Steps[Any]) -> None:
        """Run all steps; only one request at a time has its turn, and pauses before the next one has."""
        with closing(steps):  # another request may wait for what this one was making
            finished = _finished(steps)
            while not finished:
                async with self._turn:
                    await asyncio.sleep(_PAUSE_SECONDS)
                    finished = _finished(steps)


def _finished(steps: Steps[Any]) -> bool:
    """Run steps for one turn, or until one waits for another request; returns whether all are done."""
    until = perf_counter() + _TURN_SECONDS
    return all(not waits and perf_counter() <= until for waits in steps)
