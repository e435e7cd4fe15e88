"""The ``aggregates`` signal: cells of counts over all users of a partition.

``pop`` cells hold, per item and event type, a plain count and one decayed count a half-life. ``next`` cells
hold directed co-visitation: after an item, which items the same users went on to. Weights of types come in
when a cell is read; only half-lives are fixed at the fold, because a decayed sum cannot change its own later.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from signals.decay import NOTHING, at_time, log_add, log_subtract
from signals.users import TYPES, Entry

HOUR: Final = 3_600.0
DAY: Final = 24 * HOUR
HALF_LIVES: Final = (HOUR, DAY, 14 * DAY)
"""Seconds; the ladder of trending half-lives that a cell keeps."""
NEXT_HALF_LIFE: Final = 30 * DAY
NEXT_REACH: Final = 10
"""How many distinct earlier items an interaction is linked to."""
NEXT_WIDTH: Final = 64
"""Followers that outlive a trimming, an item and partition; the weakest go first."""
NEXT_SLACK: Final = 32
"""Followers taken in beyond that before the next trimming: so most co-visits cost no search for the weakest."""
NEXT_WINDOW_SECONDS: Final = 7 * DAY
"""Earlier interactions older than this, by event time, are not linked."""

NEGATIVE: Final = frozenset({"dislike", "dismiss", "unlike"})
"""Types that link nothing."""
HISTORY: Final = 32
"""How many of a user's earlier entries the fold wants to see."""


class TypeCount(msgspec.Struct, array_like=True, frozen=True):
    """Events of one type on one item: how many, and decayed counts in log space, one for each of HALF_LIVES."""

    count: int
    decayed: tuple[float, ...]


class PopularityCell(msgspec.Struct, array_like=True, frozen=True):
    """One item's events by type (the first TYPES of them), and the time (seconds) of its first and latest."""

    types: dict[str, TypeCount] = {}
    first: float = float("inf")
    last: float = float("-inf")


class NextCell(msgspec.Struct, array_like=True, frozen=True):
    """After one item: followers with their decayed co-visits in log space (NEXT_HALF_LIFE)."""

    followers: dict[str, float] = {}


Cell = PopularityCell | NextCell

_EMPTY_TYPE: Final = TypeCount(0, (NOTHING,) * len(HALF_LIVES))
_ENCODER: Final = msgspec.msgpack.Encoder()
_POPULARITY: Final = msgspec.msgpack.Decoder(PopularityCell)
_NEXT: Final = msgspec.msgpack.Decoder(NextCell)


def popularity_key(item: str) -> str:
    """The cell of an item's own counts."""
    return f"pop:{item}"


def next_key(item: str) -> str:
    """The cell of an item's followers."""
    return f"next:{item}"


def encode(cell: Cell) -> bytes:
    """A cell packed, the same bytes for the same history."""
    return _ENCODER.encode(cell)


def decode(key: str, data: bytes | None) -> Cell:
    """Read a packed cell by its key; nothing stored is the empty cell."""
    if key.startswith("pop:"):
        return PopularityCell() if data is None else _POPULARITY.decode(data)
    return NextCell() if data is None else _NEXT.decode(data)


def touched(entry: Entry, earlier: Sequence[Entry]) -> list[str]:
    """The keys that this interaction changes, given the user's earlier ones (newest last)."""
    return [popularity_key(entry.item), *(next_key(item) for item, _ in _linked(entry, earlier))]


def fold(cells: dict[str, Cell], entry: Entry, earlier: Sequence[Entry]) -> dict[str, Cell]:
    """The changed cells after one interaction. ``cells`` holds at least the touched keys."""
    key = popularity_key(entry.item)
    changed: dict[str, Cell] = {key: _counted(_popularity(cells[key]), entry)}
    for item, weight in _linked(entry, earlier):
        key = next_key(item)
        changed[key] = _followed(_next(cells[key]), entry, weight)
    return changed


def unfold(cells: dict[str, Cell], entry: Entry) -> dict[str, Cell]:
    """The changed cells after one interaction is taken back. Its co-visits are left to decay."""
    key = popularity_key(entry.item)
    return {key: _uncounted(_popularity(cells[key]), entry)}


def merge_popularity(cells: Iterable[PopularityCell], weights: Mapping[str, float]) -> tuple[float, ...]:
    """One item's cells from several partitions as one weighted decayed count (log space) a half-life.

    Types without a weight count nothing; types with a negative weight take away.
    """
    up, down = list(_EMPTY_TYPE.decayed), list(_EMPTY_TYPE.decayed)
    for cell in cells:
        for kind, counted in cell.types.items():
            weight = weights.get(kind, 0.0)
            if weight:
                into = up if weight > 0 else down
                for i, decayed in enumerate(counted.decayed):
                    into[i] = log_add(into[i], decayed + math.log2(abs(weight)))
    return tuple(log_subtract(plus, minus) for plus, minus in zip(up, down, strict=True))


def merge_count(cells: Iterable[PopularityCell], weights: Mapping[str, float]) -> float:
    """One item's plain weighted count over several partitions."""
    return sum(weights.get(kind, 0.0) * counted.count for cell in cells for kind, counted in cell.types.items())


def merge_next(cells: Iterable[NextCell]) -> dict[str, float]:
    """One item's followers over several partitions, decayed co-visits in log space (NEXT_HALF_LIFE)."""
    merged: dict[str, float] = {}
    for cell in cells:
        for item, decayed in cell.followers.items():
            merged[item] = log_add(merged.get(item, NOTHING), decayed)
    return merged


def _popularity(cell: Cell) -> PopularityCell:
    assert isinstance(cell, PopularityCell)
    return cell


def _next(cell: Cell) -> NextCell:
    assert isinstance(cell, NextCell)
    return cell


def _linked(entry: Entry, earlier: Sequence[Entry]) -> list[tuple[str, float]]:
    """Distinct earlier items, newest first, with their weights (1 / distance)."""
    if entry.type in NEGATIVE:
        return []
    items: dict[str, None] = {}
    for past in reversed(earlier):
        if past.item != entry.item and past.type not in NEGATIVE and entry.at - past.at <= NEXT_WINDOW_SECONDS:
            items.setdefault(past.item)
            if len(items) == NEXT_REACH:
                break
    return [(item, 1.0 / distance) for distance, item in enumerate(items, start=1)]


def _counted(cell: PopularityCell, entry: Entry) -> PopularityCell:
    if entry.type not in cell.types and len(cell.types) >= TYPES:
        return cell
    old = cell.types.get(entry.type, _EMPTY_TYPE)
    decayed = tuple(log_add(d, at_time(entry.at, h)) for d, h in zip(old.decayed, HALF_LIVES, strict=True))
    types = {**cell.types, entry.type: TypeCount(old.count + 1, decayed)}
    return PopularityCell(types, min(cell.first, entry.at), max(cell.last, entry.at))


def _uncounted(cell: PopularityCell, entry: Entry) -> PopularityCell:
    if entry.type not in cell.types:
        return cell
    old = cell.types[entry.type]
    decayed = tuple(log_subtract(d, at_time(entry.at, h)) for d, h in zip(old.decayed, HALF_LIVES, strict=True))
    types = {**cell.types, entry.type: TypeCount(max(0, old.count - 1), decayed)}
    return PopularityCell(types, cell.first, cell.last)


def _followed(cell: NextCell, entry: Entry, weight: float) -> NextCell:
    added = at_time(entry.at, NEXT_HALF_LIFE, weight)
    followers = {**cell.followers, entry.item: log_add(cell.followers.get(entry.item, NOTHING), added)}
    if len(followers) > NEXT_WIDTH + NEXT_SLACK:
        weakest = sorted(followers, key=lambda item: (followers[item], item))[:-NEXT_WIDTH]
        for item in weakest:
            del followers[item]
    return NextCell(followers)
