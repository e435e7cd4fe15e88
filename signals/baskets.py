"""``with`` cells: what goes together with an item in a basket, a playlist or a collection; both ways alike.

Items belong together where their events name the same ``basket_id``, ``playlist_id`` or ``collection_id``, or where
they were put in the cart, bought or bookmarked in one session. A pair counts once a group, when its second item comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from signals.cells import Change, Fold, Kind, Observed
from signals.decay import DAY, add_to, strongest, take_from
from signals.users import NEGATIVE, Entry

HALF_LIFE: Final = 60 * DAY
WIDTH: Final = 64
"""Companions that outlive a trimming, an item and partition; the weakest go first."""
SLACK: Final = 32
"""Companions taken in beyond that before the next trimming."""


class BasketCell(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """With one item: companions with their decayed co-occurrences in log space (HALF_LIFE)."""

    companions: dict[str, float] = {}


def basket_key(item: str) -> str:
    """The cell of an item's companions."""
    return f"with:{item}"


def changes(observed: Observed) -> Iterator[Change]:
    """Each pair of an item with those that were in its group before; a pair is undone with the item taken back."""
    for gone in observed.taken_back:
        for pair, at in _pairs(gone, observed.earlier):
            yield from _both(pair, _taken, at)
    if (entry := observed.entry) is not None and entry.type not in NEGATIVE:
        for pair, at in _pairs(entry, observed.earlier):
            yield from _both(pair, _added, at)


KIND: Final = Kind("with", BasketCell(), changes)


def _pairs(entry: Entry, others: Sequence[Entry]) -> Iterator[tuple[tuple[str, str], float]]:
    """The pairs that an entry makes with the others of its group, and when: none where its item is there already."""
    if not entry.group:
        return
    group = [other for other in others if other.group == entry.group and other.type not in NEGATIVE]
    if any(other.item == entry.item for other in group):
        return
    firsts = {other.item: other for other in reversed(group)}
    for item, first in sorted(firsts.items()):
        yield (entry.item, item), max(entry, first, key=lambda each: each.offset).at


def _both(pair: tuple[str, str], fold: Fold, at: float) -> Iterator[Change]:
    for item, other in (pair, pair[::-1]):
        yield Change(basket_key(item), fold, (other, at / HALF_LIFE))


def _added(cell: BasketCell, by: Sequence[tuple[str, float]]) -> BasketCell:
    companions = cell.companions.copy()
    for pair in by:
        add_to(companions, (pair,))
        if len(companions) > WIDTH + SLACK:
            companions = strongest(companions, WIDTH)
    return BasketCell(companions)


def _taken(cell: BasketCell, by: Sequence[tuple[str, float]]) -> BasketCell:
    companions = cell.companions.copy()
    take_from(companions, by)
    return BasketCell(companions)
