"""Precomputed lists, read when first asked for and kept while their version is served."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

import structlog

from models.lists import USERS, ScoredList
from schemas.errors import ModelStoreUnavailable
from schemas.ports import ListReader
from serving.breaker import Guard
from serving.bundle import Columns, as_columns
from serving.catalogue import Catalogue

_log = structlog.get_logger(__name__)


class Lists:
    """Reads through a guard; holds up to ``limit`` lists, those used longest ago dropped first."""

    def __init__(self, reader: ListReader, guard: Guard, catalogue: Catalogue, limit: int) -> None:
        self._reader, self._guard, self._catalogue, self._limit = reader, guard, catalogue, limit
        self._kept: OrderedDict[tuple[str, str], Columns | None] = OrderedDict()

    async def connect(self, seconds: float = 5.0) -> None:
        """Let the store connect before the first request, whose deadline would not last for that."""
        try:
            await asyncio.wait_for(self._reader.read("", USERS, ""), seconds)
        except (ModelStoreUnavailable, TimeoutError) as error:
            _log.warning("lists_not_connected", error=str(error) or "no answer in time")

    def kept(self, version: str, user_id: str) -> tuple[bool, Columns | None]:
        """Whether this list is in memory, and the list (None where the user has none)."""
        key = version, user_id
        if key not in self._kept:
            return False, None
        self._kept.move_to_end(key)
        return True, self._kept[key]

    async def read(self, version: str, user_id: str) -> Columns | None:
        """The user's list, None where there is none; raises SourceDown."""

        async def load() -> Columns | None:
            data = await self._reader.read(version, USERS, user_id)
            return None if data is None else as_columns(self._catalogue, ScoredList.load(data))

        found = await self._guard.call(load)
        self._kept[version, user_id] = found
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)
        return found
