"""``tail`` chunks: the newest interactions of a partition by offset, each with its session.

An event rewrites one small chunk. Chunk ``n`` holds the interactions with offsets from ``n * CHUNK`` to
``(n + 1) * CHUNK - 1``. The chunks form a ring: chunk ``n`` has the key ``n % RING``, and replaces chunk ``n - RING``. A
hash names each session. So the tail shows which interactions belong together, but not whose they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from signals.counters import AggregateKind, Changes, Retraction, Transition
from signals.users import NEGATIVE, Entry

CHUNK: Final = 256
"""Offsets that one chunk covers."""
RING: Final = 256
"""Chunks of each partition. The tail reaches back CHUNK * RING offsets, less the free part of the newest chunk."""


class TailEntry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One interaction: its offset, its session's hash (8 bytes), its item, type and time (seconds)."""

    offset: int
    session: bytes
    item: str
    type: str
    at: float


class TailChunk(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One chunk: its number, its entries by offset, and its retracted entries."""

    chunk: int = -1
    entries: tuple[TailEntry, ...] = ()
    gone: tuple[TailEntry, ...] = ()


def collect(transitions: Iterable[Transition], changes: Changes) -> None:
    """Adds each interaction to the chunk of its offset, until it is retracted. NEGATIVE types are left out."""
    for transition in transitions:
        for removed in transition.retracted:
            changes[_ring_index(removed.offset)].append(Retraction(removed.offset))
        entry = transition.entry
        if entry is not None and entry.type not in NEGATIVE:
            changes[_ring_index(entry.offset)].append(entry)


def fold(chunk: TailChunk, changes: Sequence[Entry | Retraction]) -> TailChunk:
    """Returns the chunk after entries are appended, and after retracted entries are moved to ``gone``."""
    number, entries, gone = chunk.chunk, list(chunk.entries), chunk.gone
    for change in changes:
        if isinstance(change, Retraction):
            gone += tuple([entry for entry in entries if entry.offset == change.change])
            entries = [entry for entry in entries if entry.offset != change.change]
            continue
        if change.offset // CHUNK != number:
            number, entries, gone = change.offset // CHUNK, [], ()
        entries.append(TailEntry(change.offset, change.session, change.item, change.type, change.at))
    return TailChunk(number, tuple(entries), gone)


def merge(chunks: Sequence[TailChunk], _: Mapping[str, float]) -> tuple[TailEntry, ...]:
    """Returns the entries of all partitions, one partition after the other. A session never spans partitions."""
    return tuple(entry for chunk in chunks for entry in chunk.entries)


KIND: Final = AggregateKind("tail", TailChunk(), collect, fold, merge)


def _ring_index(offset: int) -> str:
    return f"{offset // CHUNK % RING}"
