"""``with`` cells: what goes together with an item in a basket, a playlist or a collection; both ways alike.

Items belong together where their events name the same ``basket_id``, ``playlist_id`` or ``collection_id``, or where
they were put in the cart, bought or bookmarked in one session. A pair counts once a group, when its second item comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from signals.counters import AggregateKind, Changes, Retraction, Transition
from signals.decay import DAY, add_to, strongest, summed, take_from
from signals.users import NEGATIVE, Entry

HALF_LIFE: Final = 60 * DAY
WIDTH: Final = 64
"""Companions that outlive a trimming, an item and partition; the weakest go first."""
SLACK: Final = 32
"""Companions taken in beyond that before the next trimming."""


class BasketCounters(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """With one item: companions with their decayed co-occurrences in log space (HALF_LIFE)."""

    companions: dict[str, float] = {}


def gather(transitions: Iterable[Transition], changes: Changes) -> None:
    """An item is paired with the earlier items of its group; a pair is removed with the retracted entry."""
    for transition in transitions:
        for removed in transition.retracted:
            for item, other, at in _pairs(removed, transition.earlier):
                changes[item].append(Retraction((other, at)))
        entry = transition.entry
        if entry is not None and entry.type not in NEGATIVE:
            for item, other, at in _pairs(entry, transition.earlier):
                changes[item].append((other, at))


def fold(cell: BasketCounters, by: Sequence[tuple[str, float] | Retraction]) -> BasketCounters:
    """Pairs of a companion and time in half-lives count, those that are gone no longer."""
    companions = cell.companions.copy()
    for each in by:
        if isinstance(each, Retraction):
            take_from(companions, (each.by,))
            continue
        add_to(companions, (each,))
        if len(companions) > WIDTH + SLACK:
            companions = strongest(companions, WIDTH)
    return BasketCounters(companions)


def merge(counters: Sequence[BasketCounters], _: Mapping[str, float]) -> dict[str, float]:
    """Returns the companions of an item by id, with their decayed counts in log space (HALF_LIFE)."""
    return summed(partition.companions for partition in counters)


KIND: Final = AggregateKind("with", BasketCounters(), gather, fold, merge)


def _pairs(entry: Entry, others: Sequence[Entry]) -> Iterator[tuple[str, str, float]]:
    """The pairs that an entry makes with the others of its group, both ways, and when in half-lives.

    None where its item is there already.
    """
    if not entry.group:
        return
    group = [other for other in others if other.group == entry.group and other.type not in NEGATIVE]
    if any(other.item == entry.item for other in group):
        return
    firsts = {other.item: other for other in reversed(group)}
    for item, first in sorted(firsts.items()):
        at = max(entry, first, key=lambda each: each.offset).at / HALF_LIFE
        yield entry.item, item, at
        yield item, entry.item, at
