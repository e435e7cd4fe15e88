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


_POPULARITY: Final = "pop"
KINDS: Final[Mapping[str, AggregateKind]] = {
    kind.name: kind for kind in sorted(_declared(), key=lambda kind: kind.name != _POPULARITY)
}
"""Every kind of aggregate by its name. Popularity is first, for it says when an item was first met; then by module."""

Counters = msgspec.Struct
"""The counters of any kind."""

_ENCODER: Final = msgspec.msgpack.Encoder()


def kind_of(key: str) -> str:
    """Returns the name of the kind whose counters stand under a key."""
    return key[: key.index(":")]


def encode(counters: Counters) -> bytes:
    """Returns the counters as bytes. The same history gives the same bytes."""
    return _ENCODER.encode(counters)


def decode(key: str, data: bytes | None) -> Counters:
    """Returns the counters stored under a key; None gives the empty ones. Raises KeyError if no kind has that name."""
    counters: Counters = KINDS[kind_of(key)].decode(data)
    return counters


def changes(transitions: Sequence[Transition]) -> Iterator[tuple[AggregateKind, dict[str, list[Any]]]]:
    """Yields, for each kind, what these events change: lists for its ``fold``, in order, by the key of the counters."""
    for kind in KINDS.values():
        gathered = Changes(list)
        kind.gather(transitions, gathered)
        yield kind, {kind.key(subject): changed for subject, changed in gathered.items()}


def fold(counters: Mapping[str, Counters], transitions: Sequence[Transition]) -> dict[str, Counters]:
    """Returns the counters that these events changed, by key. A key that ``counters`` lacks begins empty."""
    return {
        key: kind.fold(counters.get(key) or kind.empty, changed)
        for kind, changes_by_key in changes(transitions)
        for key, changed in changes_by_key.items()
    }
