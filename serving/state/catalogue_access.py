"""The catalogue for another thread than the event loop's, which alone may change it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar

import numpy as np

from models.structures.arrays import Ints
from serving.state.catalogue import Catalogue

T = TypeVar("T")
SLICE: Final = 1_000
"""Items that are looked up, or added, before the loop has its turn: about a millisecond."""
_SECONDS: Final = 60.0
"""Longest wait for the loop to add a slice."""


class CatalogueFromThread:
    """Reads the catalogue from this thread, and has the loop add what is missing, in slices."""

    def __init__(self, catalogue: Catalogue, loop: asyncio.AbstractEventLoop) -> None:
        self._catalogue, self._loop = catalogue, loop
        self._found: list[Ints] = []

    @property
    def positions(self) -> Ints:
        """All positions that were returned so far, each once."""
        return np.unique(np.concatenate([np.empty(0, np.int32), *self._found]))

    def __len__(self) -> int:
        return len(self._catalogue)

    def ensure_all(self, item_ids: Sequence[str]) -> Ints:
        """See ``Catalogue``; raises TimeoutError where the loop has ended."""
        slices = [item_ids[begin : begin + SLICE] for begin in range(0, len(item_ids), SLICE)]
        positions = np.concatenate([np.empty(0, np.int32), *map(self._ensure, slices)])
        self._found.append(positions)
        return positions

    def _ensure(self, item_ids: Sequence[str]) -> Ints:
        # No id is let go while a model is bound (``ItemEviction.models``), so a position that is found here stays right.
        positions = self._catalogue.aligned_positions(item_ids)
        missing = np.flatnonzero(positions < 0)
        if missing.size:
            positions[missing] = self._add([item_ids[index] for index in missing.tolist()])
        return positions

    def _add(self, item_ids: Sequence[str]) -> Ints:
        return self.call(partial(self._catalogue.ensure_all, item_ids))

    def call(self, work: Callable[[], T]) -> T:
        """Returns what ``work`` returns on the loop; raises TimeoutError where the loop has ended."""

        async def run() -> T:
            return work()

        if self._loop.is_closed():
            raise TimeoutError("the event loop has ended")
        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_SECONDS)
