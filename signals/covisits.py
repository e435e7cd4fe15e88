"""``next`` cells: directed co-visitation: after an item, which items the same users went on to.

What is taken back stays in them, and decays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from signals.cells import Change, Kind, Observed
from signals.decay import DAY, added, at_time, summed, trimmed
from signals.users import NEGATIVE, Entry

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
            yield Change(next_key(item), _followed, (entry.item, at_time(entry.at, NEXT_HALF_LIFE, weight)))


KIND: Final = Kind("next", NextCell(), changes)


def merge_next(cells: Iterable[NextCell]) -> dict[str, float]:
    """One item's followers over several partitions, decayed co-visits in log space (NEXT_HALF_LIFE)."""
    return summed(cell.followers for cell in cells)


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
    return NextCell(trimmed(added(cell.followers, *by), NEXT_WIDTH, NEXT_SLACK))
