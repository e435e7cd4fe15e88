"""A cache of precomputed lists, read at their first request."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from models.structures.lists import USERS
from serving.sized_cache import MIB, SizedCache
from serving.state.catalogue import Catalogue
from serving.state.model_bundle import ScoredPositions, as_columns
from serving.stores.erasure_hints import is_in
from serving.stores.list_repositories import ListRepositories

_FIXED_BYTES: Final = 600
"""An entry without its arrays' values: keys, tuples, two array objects."""


class _Stored(NamedTuple):
    """A list that was read; None if the user has none."""

    positions: ScoredPositions | None


class PrecomputedLists:
    """Holds up to ``limit`` lists in up to ``size`` bytes; the least recently used list is dropped first."""

    def __init__(self, repositories: ListRepositories, catalogue: Catalogue, limit: int, size: int = 64 * MIB) -> None:
        self._repositories, self._catalogue = repositories, catalogue
        self._lists = SizedCache[tuple[str, str], _Stored](size, limit)

    @property
    def size(self) -> int:
        """Bytes of all lists, about."""
        return self._lists.size

    def cached(self, version: str, user_id: str) -> tuple[bool, ScoredPositions | None]:
        """Whether this list is in memory, and the list (None if the user has none)."""
        stored = self._lists.get((version, user_id))
        return (False, None) if stored is None else (True, stored.positions)

    async def read(self, version: str, user_id: str) -> ScoredPositions | None:
        """The user's list; None if there is none; raises ReadFailed."""
        stored = await self._repositories.read(version, USERS, user_id)
        positions = None if stored is None else as_columns(self._catalogue, stored)
        values = 0 if positions is None else positions.items.nbytes + positions.scores.nbytes
        self._lists.put((version, user_id), _Stored(positions), _FIXED_BYTES + values)
        return positions

    def clear(self) -> None:
        """Drop all lists: positions that they may hold are given to other items."""
        self._lists.clear()

    def drop_buckets(self, buckets: frozenset[int]) -> None:
        """Drop the lists of the users of these buckets: one of them was erased."""
        self._lists.remove_where(lambda key, _: is_in(key[1], buckets))

    def keep_versions(self, versions: Collection[str | None]) -> None:
        """Drop the lists of all other model versions."""
        self._lists.remove_where(lambda key, _: key[0] not in versions)
