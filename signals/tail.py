"""``tail`` chunks: the newest interactions of a partition by offset, each with its session.

The chunks form a ring, so that an event rewrites one small value. Chunk ``n`` holds the interactions with offsets from
``n * CHUNK`` on, under the key of ``n % RING``. The first interaction of a later lap replaces the chunk. A hash names
each session: the tail shows which interactions belong together, not who made them.
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


def gather(transitions: Iterable[Transition], changes: Changes) -> None:
    """Adds each interaction to the chunk of its offset, until it is retracted. Types of aversion are left out."""
    for transition in transitions:
        for removed in transition.retracted:
            changes[_place(removed.offset)].append(Retraction(removed.offset))
        entry = transition.entry
        if entry is not None and entry.type not in NEGATIVE:
            changes[_place(entry.offset)].append(entry)


def fold(chunk: TailChunk, changes: Sequence[Entry | Retraction]) -> TailChunk:
    """Returns the chunk after these entries are appended, or moved to the retracted ones."""
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
    """Returns the entries of all partitions side by side: a session never spans partitions."""
    return tuple(entry for chunk in chunks for entry in chunk.entries)


KIND: Final = AggregateKind("tail", TailChunk(), gather, fold, merge)


def _place(offset: int) -> str:
    return f"{offset // CHUNK % RING}"
