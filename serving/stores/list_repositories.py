"""Where precomputed lists are read from: several places in order, each under its own breaker, within one deadline."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from time import perf_counter

from models.structures.lists import ScoredList
from schemas.errors import VersionUnknown
from schemas.ports import ListReader
from serving.stores.breaker import Guard, SourceDown


class ListRepositories:
    """Asks one after the other; the first that has the list answers.

    What is left of the deadline is shared evenly by those that are left, so that one that hangs leaves the next
    its time; once its breaker is open it takes none.
    """

    def __init__(self, readers: Mapping[str, tuple[ListReader, Guard]], seconds: float) -> None:
        self._readers, self._seconds = tuple(readers.values()), seconds

    async def read(self, version: str, kind: str, key: str) -> ScoredList | None:
        """A list, None where every place was asked and has none; raises SourceDown where that cannot be told."""
        began, down, held = perf_counter(), None, False
        for place, (reader, guard) in enumerate(self._readers):
            left = max(0.0, self._seconds - (perf_counter() - began))
            ask = partial(_ask, reader, version, kind, key)
            try:
                here, found = await guard.call(ask, left / (len(self._readers) - place))
            except SourceDown as error:
                down = down or error
                continue
            if found is not None:
                return found
            held |= here
        if down is not None or not held:
            raise down or SourceDown("lists", "the version is in none of the repositories")
        return None


async def _ask(reader: ListReader, version: str, kind: str, key: str) -> tuple[bool, ScoredList | None]:
    """Whether the version may be there, and the list."""
    try:
        data = await reader.read(version, kind, key)
    except VersionUnknown:
        return False, None
    return True, None if data is None else ScoredList.load(data)
