"""``tail`` cells: the newest interactions of a partition by offset, each with its session.

A ring of chunks, so that an event rewrites one small cell: chunk ``n`` holds the interactions with offsets from
``n * CHUNK`` on, under the key of ``n % RING``, and the first of a later lap replaces what stood there. A session is
named by a hash: the tail says what was done together, not by whom.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from signals.cells import Change, Kind, Observed
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


class TailCell(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One chunk: its number, its entries by offset, and those that were taken back."""

    chunk: int = -1
    entries: tuple[TailEntry, ...] = ()
    gone: tuple[TailEntry, ...] = ()


def tail_key(offset: int) -> str:
    """The cell of the chunk that an offset belongs to."""
    return f"tail:{offset // CHUNK % RING}"


def changes(observed: Observed) -> Iterator[Change]:
    """An interaction stands in the chunk of its offset, until it is taken back; aversion tells of no session."""
    for gone in observed.taken_back:
        yield Change(tail_key(gone.offset), _taken_back, gone.offset)
    entry = observed.entry
    if entry is not None and entry.type not in NEGATIVE:
        yield Change(tail_key(entry.offset), _appended, entry)


KIND: Final = Kind("tail", TailCell(), changes)


def _appended(cell: TailCell, by: Sequence[Entry]) -> TailCell:
    chunk, entries, gone = cell.chunk, list(cell.entries), cell.gone
    for entry in by:
        if entry.offset // CHUNK != chunk:
            chunk, entries, gone = entry.offset // CHUNK, [], ()
        entries.append(TailEntry(entry.offset, entry.session, entry.item, entry.type, entry.at))
    return TailCell(chunk, tuple(entries), gone)


def _taken_back(cell: TailCell, by: Sequence[int]) -> TailCell:
    entries, gone = cell.entries, cell.gone
    for offset in by:
        gone += tuple([entry for entry in entries if entry.offset == offset])
        entries = tuple([entry for entry in entries if entry.offset != offset])
    return TailCell(cell.chunk, entries, gone)
