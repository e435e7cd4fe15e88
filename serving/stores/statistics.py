"""Published statistics: best rated, most viewed, rising. Each is read from the store once in a few seconds at most."""

from __future__ import annotations

import asyncio
import math
from typing import Any, Final

import structlog

from models.ratings import Ratings
from schemas.errors import UNREADABLE, FreshetError
from schemas.offline.statistics import (
    EVERY,
    RATINGS,
    Kind,
    Period,
    Statistics,
    decode_statistics,
    document_of,
)
from schemas.ports import Clock, Documents
from serving.state.catalogue import Catalogue

CACHE_SECONDS: Final = 10.0
RATINGS_CACHE_SECONDS: Final = 60.0

_log = structlog.get_logger(__name__)


class StatisticsReader:
    """Reads the tables that offline jobs have published; used from one event loop."""

    def __init__(self, documents: Documents | None, catalogue: Catalogue, steady: Clock) -> None:
        self._documents, self._catalogue, self._steady = documents, catalogue, steady
        self._ratings: Ratings | None = None
        self._rated_at = -math.inf
        self._tables: dict[str, tuple[float, Statistics | None]] = {}

    async def table(self, kind: Kind, period: Period) -> Statistics | None:
        """A published table, at most CACHE_SECONDS old; None if there is none or the store was never reached."""
        name, now = document_of(kind, period), self._steady()
        cached = self._tables.get(name)
        if cached is None or now - cached[0] >= CACHE_SECONDS:
            cached = now, await asyncio.to_thread(self._read, name, None if cached is None else cached[1])
            self._tables[name] = cached
        return cached[1]

    async def ratings(self) -> Ratings | None:
        """The published model of predicted ratings, at most RATINGS_CACHE_SECONDS old; None if there is none."""
        now = self._steady()
        if now - self._rated_at >= RATINGS_CACHE_SECONDS:
            self._rated_at = now
            self._ratings = await asyncio.to_thread(self._read_ratings)
        return self._ratings

    def _read_ratings(self) -> Ratings | None:
        try:
            stored = None if self._documents is None else self._documents.read(RATINGS)
            return None if stored is None else Ratings.load(stored)
        except (FreshetError, *UNREADABLE) as error:
            _log.warning("ratings_not_read", reason=str(error))
            return self._ratings

    def rows(self, table: Statistics, category: str, count: int) -> list[dict[str, Any]]:
        """The first ``count`` items of a category that are not hidden, with the titles of the catalogue."""
        rows = []
        for ranked in table.categories.get(category, []):
            position = self._catalogue.position(ranked.item_id)
            item = None if position is None else self._catalogue.item(position)
            if position is not None and (item is None or not item.hidden):
                title = ranked.title if item is None else item.title
                rows.append({"item_id": ranked.item_id, "title": title, **ranked.figures})
        return rows[:count]

    def _read(self, name: str, older: Statistics | None) -> Statistics | None:
        try:
            stored = None if self._documents is None else self._documents.read(name)
            return None if stored is None else decode_statistics(stored)
        except (FreshetError, *UNREADABLE) as error:
            _log.warning("statistics_not_read", reason=str(error))
            return older


def category_names(table: Statistics | None) -> list[str]:
    """The names of a table's categories, sorted; none without a table."""
    return sorted(name for name in (table.categories if table else ()) if name != EVERY)
