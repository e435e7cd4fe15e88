"""Evaluates the filters of a request before it is ranked, in turns with other requests.

Columns are made once, and the result of a filter is remembered, so that ranking only looks it up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from time import perf_counter
from typing import Any, Final

from schemas.answers import Boost, RecommendationRequest
from schemas.http.problems import ProblemError
from serving.filtering.columns import Steps
from serving.filtering.expressions import Expression
from serving.filtering.fields import Fields
from serving.ranking.business_rules import expressions_of

MAX_COLUMNS: Final = 32
"""Most columns that one request may have made."""
_TURN_SECONDS: Final = 0.002
"""Time for which filters are evaluated before other requests get their turn."""
_PAUSE_SECONDS: Final = 0.001
_ROUNDS: Final = 3
"""Attempts to evaluate all filters without a change of an item meanwhile; ranking evaluates them after the last one."""


class FilterPreparation:
    """Used from one event loop. All requests together hold it for one turn, then pause."""

    def __init__(self, fields: Fields, boosts: Sequence[Boost]) -> None:
        """``boosts`` are those of the configuration."""
        self._fields, self._boosts = fields, boosts
        self._turn = asyncio.Lock()

    async def prepare(self, request: RecommendationRequest) -> None:
        """Evaluate the request's filter and all boosts; raises ProblemError where they read too many fields."""
        expressions = expressions_of(request, self._boosts)
        if self._are_remembered(expressions, request):
            return
        self._check_columns(expressions)
        for _ in range(_ROUNDS):
            for expression in expressions:
                await self._run(expression.steps(request, self._fields))
            if self._are_remembered(expressions, request):
                return

    def _are_remembered(self, expressions: Sequence[Expression], request: RecommendationRequest) -> bool:
        return all(expression.is_remembered(request, self._fields) for expression in expressions)

    def _check_columns(self, expressions: Sequence[Expression]) -> None:
        paths = frozenset(path for expression in expressions for path in expression.paths)
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
