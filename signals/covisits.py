"""``next`` cells: directed co-visitation: after an item, which items the same users went on to.

What is taken back stays in them, and decays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from signals.cells import NEGATIVE, Change, Kind, Observed
from signals.decay import DAY, NOTHING, at_time, log_add
from signals.users import Entry

NEXT_HALF_LIFE: Final = 30 * DAY
NEXT_REACH: Final = 10
"""How many distinct earlier items an interaction is linked to."""
NEXT_WIDTH: Final = 64
"""Followers that outlive a trimming, an item and partition; the weakest go first."""
NEXT_SLACK: Final = 32
"""Followers taken in beyond that before the next trimming: so most co-visits cost no search for the weakest."""
NEXT_WINDOW_SECONDS: Final = 7 * DAY
"""Earlier interactions older than this, by event time, are not linked."""


class NextCell(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """After one item: followers with their decayed co-visits in log space (NEXT_HALF_LIFE)."""

    followers: dict[str, float] = {}


def next_key(item: str) -> str:
    """The cell of an item's followers."""
    return f"next:{item}"


def changes(observed: Observed) -> Iterator[Change]:
    """The items that the user was at before are followed by this one."""
    if (entry := observed.entry) is not None:
        for item, weight in _linked(entry, observed.earlier):
            added = at_time(entry.at, NEXT_HALF_LIFE, weight)
            yield Change(f"next:{item}", _followed, (entry.item, added))


KIND: Final = Kind("next", NextCell(), changes)


def merge_next(cells: Iterable[NextCell]) -> dict[str, float]:
    """One item's followers over several partitions, decayed co-visits in log space (NEXT_HALF_LIFE)."""
    merged: dict[str, float] = {}
    for cell in cells:
        for item, decayed in cell.followers.items():
            merged[item] = log_add(merged.get(item, NOTHING), decayed)
    return merged


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


def _followed(cell: NextCell, by: tuple[str, float]) -> NextCell:
    item, added = by
    followers = cell.followers.copy()
    followers[item] = log_add(followers.get(item, NOTHING), added)
    if len(followers) > NEXT_WIDTH + NEXT_SLACK:
        weakest = sorted(followers, key=lambda each: (followers[each], each))[:-NEXT_WIDTH]
        for each in weakest:
            del followers[each]
    return NextCell(followers)
