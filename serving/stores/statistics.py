"""Published statistics: best rated, most viewed, rising. Read from the store at most every few seconds."""

from __future__ import annotations

import asyncio
import math
from typing import Any, Final

import msgspec
import structlog

from models.ratings import Ratings
from schemas.errors import FreshetError
from schemas.http.problems import ProblemError
from schemas.ports import Clock, Documents
from schemas.statistics import (
    EVERY,
    KINDS,
    RATINGS,
    Kind,
    Period,
    Statistics,
    decode_statistics,
    document_of,
)
from serving.state.catalogue import Catalogue

KEPT_SECONDS: Final = 10.0
KEPT_RATINGS_SECONDS: Final = 60.0

_log = structlog.get_logger(__name__)


class StatisticsReader:
    """What offline has published, for one event loop."""

    def __init__(self, documents: Documents | None, catalogue: Catalogue, steady: Clock) -> None:
        self._documents, self._catalogue, self._steady = documents, catalogue, steady
        self._ratings: Ratings | None = None
        self._rated_at = -math.inf
        self._kept: dict[str, tuple[float, Statistics | None]] = {}

    async def answer(self, kind: str, period: Period, category: str, count: int) -> dict[str, Any]:
        """A table as the API shows it; raises ProblemError where there is none."""
        known = next((each for each in KINDS if each == kind), None)
        if known is None:
            raise ProblemError(404, "unknown-statistics", f"There are {', '.join(KINDS)}.", field="kind")
        found = await self.table(known, period)
        if found is None:
            raise ProblemError(404, "no-statistics", "No statistics are published yet; run 'freshet statistics'.")
        prior = found.priors.get(category)
        return {
            "kind": kind,
            "period": period,
            "category": category or None,
            "as_of": found.as_of,
            "prior": None if prior is None else msgspec.structs.asdict(prior),
            "items": self.shown(found, category, count),
        }

    async def table(self, kind: Kind, period: Period) -> Statistics | None:
        """A published table, a few seconds old at most; None where there is none or the store is away."""
        name, now = document_of(kind, period), self._steady()
        kept = self._kept.get(name)
        if kept is None or now - kept[0] >= KEPT_SECONDS:
            kept = now, await asyncio.to_thread(self._read, name, None if kept is None else kept[1])
            self._kept[name] = kept
        return kept[1]

    async def ratings(self) -> Ratings | None:
        """The published model of predicted ratings, a minute old at most; None where there is none."""
        now = self._steady()
        if now - self._rated_at >= KEPT_RATINGS_SECONDS:
            self._rated_at = now
            self._ratings = await asyncio.to_thread(self._read_ratings)
        return self._ratings

    def _read_ratings(self) -> Ratings | None:
        try:
            stored = None if self._documents is None else self._documents.read(RATINGS)
            return None if stored is None else Ratings.load(stored)
        except FreshetError as error:
            _log.warning("ratings_not_read", reason=str(error))
            return self._ratings

    def shown(self, found: Statistics, category: str, count: int) -> list[dict[str, Any]]:
        """The items of a category that are still in the shop, with the catalogue's titles."""
        rows = []
        for item in found.categories.get(category, []):
            at = self._catalogue.position(item.item_id)
            view = None if at is None else self._catalogue.item(at)
            if at is not None and (view is None or not view.hidden):
                title = item.title if view is None else view.title
                rows.append({"item_id": item.item_id, "title": title, **item.figures})
        return rows[:count]

    def _read(self, name: str, older: Statistics | None) -> Statistics | None:
        try:
            stored = None if self._documents is None else self._documents.read(name)
            return None if stored is None else decode_statistics(stored)
        except FreshetError as error:
            _log.warning("statistics_not_read", reason=str(error))
            return older


def choices(found: Statistics | None) -> list[str]:
    """The categories that a table has, by name."""
    return sorted(name for name in (found.categories if found else ()) if name != EVERY)
