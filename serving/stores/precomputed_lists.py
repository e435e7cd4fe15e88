"""Precomputed lists, read when first asked for and kept while their version is served."""

from __future__ import annotations

from collections import OrderedDict

from models.structures.lists import USERS
from serving.state.catalogue import Catalogue
from serving.state.model_bundle import ScoredPositions, as_columns
from serving.stores.list_repositories import ListRepositories


class PrecomputedLists:
    """Holds up to ``limit`` lists, those used longest ago dropped first."""

    def __init__(self, repositories: ListRepositories, catalogue: Catalogue, limit: int) -> None:
        self._repositories, self._catalogue, self._limit = repositories, catalogue, limit
        self._kept: OrderedDict[tuple[str, str], ScoredPositions | None] = OrderedDict()

    def kept(self, version: str, user_id: str) -> tuple[bool, ScoredPositions | None]:
        """Whether this list is in memory, and the list (None where the user has none)."""
        key = version, user_id
        if key not in self._kept:
            return False, None
        self._kept.move_to_end(key)
        return True, self._kept[key]

    async def read(self, version: str, user_id: str) -> ScoredPositions | None:
        """The user's list, None where there is none; raises SourceDown."""
        stored = await self._repositories.read(version, USERS, user_id)
        found = None if stored is None else as_columns(self._catalogue, stored)
        self._kept[version, user_id] = found
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)
        return found
