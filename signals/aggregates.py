"""The ``aggregates`` signal: counters over all users of a partition, of every kind that a module here declares."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

import signals
from signals.counters import AggregateKind, Changes, Transition


def _declared() -> Iterator[AggregateKind]:
    """The KIND of each module in this folder that has one: another aggregate is another file."""
    for module in pkgutil.iter_modules(signals.__path__, f"{signals.__name__}."):
        kind = getattr(importlib.import_module(module.name), "KIND", None)
        if isinstance(kind, AggregateKind):
            yield kind


KINDS: Final[Sequence[AggregateKind]] = tuple(_declared())
"""Every kind of aggregate, by the names of their modules."""

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


def changes(transitions: Sequence[Transition]) -> Iterator[tuple[AggregateKind, dict[str, list[Any]]]]:
    """What events, in order, change: by kind, and by the key of a cell, what its kind's fold is to be called with."""
    for kind in KINDS:
        found = Changes(list)
        kind.gather(transitions, found)
        yield kind, {kind.key(about): by for about, by in found.items()}


def fold(cells: Mapping[str, Cell], transitions: Sequence[Transition]) -> dict[str, Cell]:
    """The changed cells after events, in order; a cell that is not among ``cells`` is taken to be empty."""
    return {
        key: kind.fold(cells.get(key) or kind.empty, by)
        for kind, changed in changes(transitions)
        for key, by in changed.items()
    }
