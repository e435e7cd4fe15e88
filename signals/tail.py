"""``tail`` cells: the newest interactions of a partition by offset, each with its session.

A ring of chunks, so that an event rewrites one small cell: chunk ``n`` holds the interactions with offsets from
``n * CHUNK`` on, under the key of ``n % RING``, and the first of a later lap replaces what stood there. A session is
named by a hash: the tail says what was done together, not by whom.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from signals.counters import AggregateKind, Changes, Retraction, Transition
from signals.users import NEGATIVE, Entry

CHUNK: Final = 256
"""Offsets that one cell covers."""
RING: Final = 256
"""Cells a partition: so the tail reaches back CHUNK * RING offsets, less what the newest cell has yet to fill."""


class TailEntry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One interaction: its offset, its session's hash (8 bytes), the item, the type and the time (seconds)."""

    offset: int
    session: bytes
    item: str
    type: str
    at: float


class TailChunk(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One chunk: its number, its entries by offset, and those that were taken back."""

    chunk: int = -1
    entries: tuple[TailEntry, ...] = ()
    gone: tuple[TailEntry, ...] = ()


def gather(transitions: Iterable[Transition], changes: Changes) -> None:
    """An interaction stands in the chunk of its offset, until it is retracted; aversion adds nothing to a session."""
    for transition in transitions:
        for removed in transition.retracted:
            changes[_place(removed.offset)].append(Retraction(removed.offset))
        entry = transition.entry
        if entry is not None and entry.type not in NEGATIVE:
            changes[_place(entry.offset)].append(entry)


def fold(cell: TailChunk, by: Sequence[Entry | Retraction]) -> TailChunk:
    """Entries are appended; those at offsets that are gone stand apart."""
    chunk, entries, gone = cell.chunk, list(cell.entries), cell.gone
    for each in by:
        if isinstance(each, Retraction):
            gone += tuple([entry for entry in entries if entry.offset == each.by])
            entries = [entry for entry in entries if entry.offset != each.by]
            continue
        if each.offset // CHUNK != chunk:
            chunk, entries, gone = each.offset // CHUNK, [], ()
        entries.append(TailEntry(each.offset, each.session, each.item, each.type, each.at))
    return TailChunk(chunk, tuple(entries), gone)


def merge(chunks: Sequence[TailChunk], _: Mapping[str, float]) -> tuple[TailEntry, ...]:
    """Returns the entries of all partitions side by side: a session never spans partitions."""
    return tuple(entry for chunk in chunks for entry in chunk.entries)


KIND: Final = AggregateKind("tail", TailChunk(), gather, fold, merge)


def _place(offset: int) -> str:
    return f"{offset // CHUNK % RING}"
