"""The catalogue for another thread than the event loop's, which alone may change it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import numpy as np

from models.structures.arrays import Ints
from serving.state.catalogue import Catalogue

SLICE: Final = 1_000
"""Items that are looked up, or added, before the loop has its turn: about a millisecond."""
_SECONDS: Final = 60.0
"""Longest wait for the loop to add a slice."""


class CatalogueFromThread:
    """Reads the catalogue from this thread, and has the loop add what is missing, in slices."""

    def __init__(self, catalogue: Catalogue, loop: asyncio.AbstractEventLoop) -> None:
        self._catalogue, self._loop = catalogue, loop

    def __len__(self) -> int:
        return len(self._catalogue)

    def ensure_all(self, item_ids: Sequence[str]) -> Ints:
        """See ``Catalogue``; raises TimeoutError where the loop has ended."""
        slices = [item_ids[begin : begin + SLICE] for begin in range(0, len(item_ids), SLICE)]
        return np.concatenate([np.empty(0, np.int32), *map(self._ensure, slices)])

    def _ensure(self, item_ids: Sequence[str]) -> Ints:
        # Positions never change, so one that is found here stays right.
        positions = self._catalogue.aligned_positions(item_ids)
        missing = np.flatnonzero(positions < 0)
        if missing.size:
            positions[missing] = self._add([item_ids[index] for index in missing.tolist()])
        return positions

    def _add(self, item_ids: Sequence[str]) -> Ints:
        async def add() -> Ints:
            return self._catalogue.ensure_all(item_ids)

        if self._loop.is_closed():
            raise TimeoutError("the event loop has ended")
        return asyncio.run_coroutine_threadsafe(add(), self._loop).result(_SECONDS)
