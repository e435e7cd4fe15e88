"""The ``aggregates`` signal: counters over all users of a partition.

The kinds of counters are discovered: a file dropped in ``signals/kinds`` that declares ``KIND`` is a kind. No list needs an
edit.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from signals import kinds
from signals.counters import AggregateKind, Changes, Transition


def _declared() -> Iterator[AggregateKind]:
    """Yields the KIND of each module of ``kinds`` that declares one."""
    for module in pkgutil.iter_modules(kinds.__path__, f"{kinds.__name__}."):
        kind = getattr(importlib.import_module(module.name), "KIND", None)
        if isinstance(kind, AggregateKind):
            yield kind


_POPULARITY: Final = "pop"
KINDS: Final[Mapping[str, AggregateKind]] = {
    kind.name: kind for kind in sorted(_declared(), key=lambda kind: kind.name != _POPULARITY)
}
"""Every kind of aggregate by its name, in order of modules. Popularity comes first, because it dates an item's first event."""

Counters = msgspec.Struct
"""The counters of any kind."""

_ENCODER: Final = msgspec.msgpack.Encoder()


def kind_of(key: str) -> str:
    """Returns the name of the kind that a key of counters belongs to."""
    return key.partition(":")[0]


def encode(counters: Counters) -> bytes:
    """Returns the counters as bytes. The same history gives the same bytes."""
    return _ENCODER.encode(counters)


def decode(key: str, data: bytes | None) -> Counters:
    """Returns the counters stored under a key; None gives the empty ones. Raises KeyError if no kind has that name."""
    counters: Counters = KINDS[kind_of(key)].decode(data)
    return counters


def changes(transitions: Sequence[Transition]) -> Iterator[tuple[AggregateKind, dict[str, list[Any]]]]:
    """Yields each kind with the changes that these events make: by key of the counters, the list that ``fold`` takes."""
    for kind in KINDS.values():
        changes_by_subject = Changes(list)
        kind.collect(transitions, changes_by_subject)
        yield kind, {kind.key(subject): changed for subject, changed in changes_by_subject.items()}


def fold(counters: Mapping[str, Counters], transitions: Sequence[Transition]) -> dict[str, Counters]:
    """Returns the counters that these events changed, by key. A key that ``counters`` lacks begins empty."""
    return {
        key: kind.fold(counters.get(key) or kind.empty, changed)
        for kind, changes_by_key in changes(transitions)
        for key, changed in changes_by_key.items()
    }
