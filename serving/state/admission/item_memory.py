"""About how much memory an id without item data takes: its place in the catalogue, and its counters of all partitions."""

from __future__ import annotations

from typing import Final

import numpy as np

from models.structures.arrays import Ints, Longs
from serving.state.catalogue import Catalogue
from signals.aggregates import Counters

POSITION_BYTES: Final = 800
"""The id, its place in the index, and its values in the columns, here and in the aggregates and indexes."""
_COUNTERS_BYTES: Final = 480
"""Counters without entries: the object, its dict, its key, and its place in the dict of its partition."""
_ENTRY_BYTES: Final = 150
"""An entry of counters: a text, a number or a few, and a place in a dict."""


class ItemMemory:
    """Bytes of counters by position in the catalogue, kept up to date counter by counter."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._bytes: Longs = np.zeros(0, np.int64)

    def replace(self, item_id: str, former: Counters | None, counters: Counters) -> None:
        """Counters of an item have replaced former ones, or are its first of a kind and partition."""
        change = size_of(counters) - (0 if former is None else size_of(former))
        position = self._catalogue.position(item_id) if change else None
        if position is not None:
            if position >= self._bytes.size:
                self._bytes = np.concatenate([self._bytes, np.zeros(len(self._catalogue) + 1_024, np.int64)])
            self._bytes[position] += change

    def let_go(self, position: int) -> None:
        """The item at a position was let go with all its counters."""
        if position < self._bytes.size:
            self._bytes[position] = 0

    def of(self, positions: Ints) -> Longs:
        """The bytes of the items at these positions (n,)."""
        sizes = np.full(positions.size, POSITION_BYTES, np.int64)
        counted = positions < self._bytes.size
        sizes[counted] += self._bytes[positions[counted]]
        return sizes


def size_of(counters: Counters) -> int:
    """About the bytes that counters take as objects."""
    entries = 0
    for name in counters.__struct_fields__:
        value = getattr(counters, name)
        if value.__class__ is dict:
            entries += len(value)
    return _COUNTERS_BYTES + _ENTRY_BYTES * entries
