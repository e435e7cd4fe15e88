"""``with`` counters: for each item, the items that share a basket, a playlist or a collection with it.

Items belong together where their events name the same ``basket_id``, ``playlist_id`` or ``collection_id``, or where
they were put in the cart, bought or bookmarked in one session. A pair counts once in a group, when its second item
arrives.
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
"""Companions of an item that remain after a trimming, in each partition. The weakest are dropped."""
SLACK: Final = 32
"""Companions that may exceed WIDTH before the next trimming."""


class BasketCounters(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One item's companions with their decayed co-occurrences in log space (HALF_LIFE)."""

    companions: dict[str, float] = {}


def collect(transitions: Iterable[Transition], changes: Changes) -> None:
    """Pairs each item with the earlier items of its group. If an entry is retracted, its pairs are retracted."""
    for transition in transitions:
        for removed in transition.retracted:
            for item, other, amount in _pairs(removed, transition.earlier):
                changes[item].append(Retraction((other, amount)))
        entry = transition.entry
        if entry is not None and entry.type not in NEGATIVE:
            for item, other, amount in _pairs(entry, transition.earlier):
                changes[item].append((other, amount))


def fold(counters: BasketCounters, changes: Sequence[tuple[str, float] | Retraction]) -> BasketCounters:
    """Returns the counters after these companions, each with its time in half-lives, are added or retracted."""
    companions = counters.companions.copy()
    for change in changes:
        if isinstance(change, Retraction):
            take_from(companions, (change.change,))
            continue
        add_to(companions, (change,))
        if len(companions) > WIDTH + SLACK:
            companions = strongest(companions, WIDTH)
    return BasketCounters(companions)


def merge(counters: Sequence[BasketCounters], _: Mapping[str, float]) -> dict[str, float]:
    """Returns the companions of an item by id, with their decayed counts in log space (HALF_LIFE)."""
    return summed(partition.companions for partition in counters)


KIND: Final = AggregateKind("with", BasketCounters(), collect, fold, merge)


def _pairs(entry: Entry, others: Sequence[Entry]) -> Iterator[tuple[str, str, float]]:
    """Yields the pairs of an entry with the others of its group, in both directions, with their time in half-lives.

    Yields nothing if the group holds the item already.
    """
    if not entry.group:
        return
    group = [other for other in others if other.group == entry.group and other.type not in NEGATIVE]
    if any(other.item == entry.item for other in group):
        return
    firsts = {other.item: other for other in reversed(group)}
    for item, first in sorted(firsts.items()):
        amount = max(entry, first, key=lambda member: member.offset).at / HALF_LIFE
        yield entry.item, item, amount
        yield item, entry.item, amount
