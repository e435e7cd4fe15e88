"""The ``aggregates`` signal: cells of counts over all users of a partition, of the kinds listed here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from signals import baskets, context, covisits, exposure, popularity, queries, tail
from signals.counters import Changes, Kind, Observed

KINDS: Final[Sequence[Kind]] = (
    popularity.KIND,
    covisits.KIND,
    tail.KIND,
    exposure.KIND,
    context.KIND,
    baskets.KIND,
    queries.KIND,
)
"""Every kind of cell that is kept. Another one is another file with a KIND, named here."""

Cell = msgspec.Struct

_EMPTY: Final[Mapping[str, Cell]] = {kind.name: kind.empty for kind in KINDS}
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODERS: Final = {kind.name: msgspec.msgpack.Decoder(type(kind.empty)) for kind in KINDS}


def kind_of(key: str) -> str:
    """The name of the kind of cell that a key belongs to."""
    return key[: key.index(":")]


def encode(cell: Cell) -> bytes:
    """A cell packed, the same bytes for the same history."""
    return _ENCODER.encode(cell)


def decode(key: str, data: bytes | None) -> Cell:
    """Read a packed cell by its key; nothing stored is the empty cell. Raises KeyError for a kind that is not kept."""
    kind = kind_of(key)
    return _EMPTY[kind] if data is None else _DECODERS[kind].decode(data)


def changes(observed: Sequence[Observed]) -> Iterator[tuple[Kind, dict[str, list[Any]]]]:
    """What events, in order, change: by kind, and by the key of a cell, what its kind's fold is to be called with."""
    for kind in KINDS:
        found = Changes(list)
        kind.gather(observed, found)
        yield kind, {kind.key(about): by for about, by in found.items()}


def fold(cells: Mapping[str, Cell], observed: Sequence[Observed]) -> dict[str, Cell]:
    """The changed cells after events, in order; a cell that is not among ``cells`` is taken to be empty."""
    return {
        key: kind.fold(cells.get(key) or kind.empty, by)
        for kind, changed in changes(observed)
        for key, by in changed.items()
    }
