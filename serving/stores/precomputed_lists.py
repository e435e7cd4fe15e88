"""A cache of precomputed lists, read at their first request."""

from __future__ import annotations

from collections import OrderedDict

from models.structures.lists import USERS
from serving.state.catalogue import Catalogue
from serving.state.model_bundle import ScoredPositions, as_columns
from serving.stores.list_repositories import ListRepositories


class PrecomputedLists:
    """Holds up to ``limit`` lists; the least recently used list is dropped first."""

    def __init__(self, repositories: ListRepositories, catalogue: Catalogue, limit: int) -> None:
        self._repositories, self._catalogue, self._limit = repositories, catalogue, limit
        self._lists: OrderedDict[tuple[str, str], ScoredPositions | None] = OrderedDict()

    def cached(self, version: str, user_id: str) -> tuple[bool, ScoredPositions | None]:
        """Whether this list is in memory, and the list (None if the user has none)."""
        key = version, user_id
        if key not in self._lists:
            return False, None
        self._lists.move_to_end(key)
        return True, self._lists[key]

    async def read(self, version: str, user_id: str) -> ScoredPositions | None:
        """The user's list; None if there is none; raises ReadFailed."""
        stored = await self._repositories.read(version, USERS, user_id)
        positions = None if stored is None else as_columns(self._catalogue, stored)
        self._lists[version, user_id] = positions
        if len(self._lists) > self._limit:
            self._lists.popitem(last=False)
        return positions
