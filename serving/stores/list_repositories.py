"""Reads precomputed lists from several repositories in order, each under its own breaker, within one deadline."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from time import perf_counter

from models.structures.lists import ScoredList
from schemas.errors import UNREADABLE, Undecodable, VersionUnknown
from schemas.ports import ListReader
from serving.stores.breaker import ReadFailed, StoreGuard


class ListRepositories:
    """Tries the repositories in order and returns the first list.

    The remaining time is divided evenly between the remaining repositories, so one that hangs leaves time for the next.
    A repository whose breaker is open takes no time.
    """

    def __init__(self, readers: Mapping[str, tuple[ListReader, StoreGuard]], seconds: float) -> None:
        self._readers, self._seconds = tuple(readers.values()), seconds

    async def read(self, version: str, kind: str, key: str) -> ScoredList | None:
        """The list; None if the version has none for this key.

        Raises ReadFailed where no repository has the list and one of them failed, or none has the version.
        """
        began, first_error, version_known = perf_counter(), None, False
        for index, (reader, guard) in enumerate(self._readers):
            remaining = max(0.0, self._seconds - (perf_counter() - began))
            read = partial(_read, reader, version, kind, key)
            try:
                has_version, scored = await guard.call(read, remaining / (len(self._readers) - index))
            except ReadFailed as error:
                first_error = first_error or error
                continue
            if scored is not None:
                return scored
            version_known |= has_version
        if first_error is not None or not version_known:
            raise first_error or ReadFailed("lists", "the version is in none of the repositories")
        return None


async def _read(reader: ListReader, version: str, kind: str, key: str) -> tuple[bool, ScoredList | None]:
    """Whether the repository may have this version, and the list."""
    try:
        data = await reader.read(version, kind, key)
    except VersionUnknown:
        return False, None
    try:
        return True, None if data is None else ScoredList.load(data)
    except UNREADABLE as error:
        raise Undecodable(f"the list of '{key}' in version {version} cannot be read: {error}") from error
