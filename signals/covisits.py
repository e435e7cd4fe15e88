"""``next`` counters: directed co-visitation, the items that the same users visited after an item.

A visit also links back to the items before it, with a share of the weight, because related items are visited in either
order. A retracted event stays counted here until it has decayed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Final

import msgspec

from signals.counters import AggregateKind, Changes, Transition
from signals.decay import DAY, add_to, strongest, summed
from signals.users import NEGATIVE, Entry

NEXT_HALF_LIFE: Final = 120 * DAY
NEXT_REACH: Final = 16
"""Limit of distinct earlier items that an interaction is linked to."""
NEXT_FADING: Final = 0.8
"""The link to the n-th newest of them has the weight n^-NEXT_FADING."""
BACKWARD: Final = 0.25
"""Weight of the link back, as a share of the link's weight."""
NEXT_WIDTH: Final = 128
"""Followers of an item that remain after a trimming, in each partition. The weakest are dropped."""
NEXT_SLACK: Final = 64
"""Followers that may exceed NEXT_WIDTH before the next trimming, so that most co-visits need no trimming."""
NEXT_WINDOW_SECONDS: Final = 365 * DAY
"""Earlier interactions older than this, by event time, are not linked."""
_BACK: Final = math.log2(BACKWARD)
_WEIGHTS: Final = tuple(math.log2(distance**-NEXT_FADING) for distance in range(1, NEXT_REACH + 1))


class CovisitCounters(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One item's followers with their decayed co-visits in log space (NEXT_HALF_LIFE)."""

    followers: dict[str, float] = {}


def gather(transitions: Iterable[Transition], changes: Changes) -> None:
    """Links the earlier items of a user to the item of each interaction, and that item back to them."""
    for transition in transitions:
        if (entry := transition.entry) is None or not (linked := _linked(entry, transition.earlier)):
            continue
        own, time = entry.item, entry.at / NEXT_HALF_LIFE
        links_back = []
        for item, weight in zip(linked, _WEIGHTS, strict=False):
            amount = time + weight
            changes[item].append(((own, amount),))
            links_back.append((item, amount + _BACK))
        changes[own].append(links_back)


def fold(counters: CovisitCounters, changes: Sequence[Sequence[tuple[str, float]]]) -> CovisitCounters:
    """Returns the counters after these links are added. Each change holds the links of one interaction."""
    followers = counters.followers.copy()
    if len(followers) + sum(map(len, changes)) <= NEXT_WIDTH + NEXT_SLACK:
        add_to(followers, chain.from_iterable(changes))
        return CovisitCounters(followers)
    for links in changes:
        add_to(followers, links)
        if len(followers) > NEXT_WIDTH + NEXT_SLACK:
            followers = strongest(followers, NEXT_WIDTH)
    return CovisitCounters(followers)


def merge(counters: Sequence[CovisitCounters], _: Mapping[str, float]) -> dict[str, float]:
    """Returns the followers of an item by id, with their decayed co-visits in log space (NEXT_HALF_LIFE)."""
    return summed(partition.followers for partition in counters)


KIND: Final = AggregateKind("next", CovisitCounters(), gather, fold, merge)


def _linked(entry: Entry, earlier: Sequence[Entry]) -> Iterable[str]:
    """Returns the distinct earlier items, newest first."""
    items: dict[str, None] = {}
    if entry.type in NEGATIVE:
        return items
    own, time = entry.item, entry.at
    for past in reversed(earlier):
        if past.item != own and past.type not in NEGATIVE and time - past.at <= NEXT_WINDOW_SECONDS:
            items[past.item] = None
            if len(items) == NEXT_REACH:
                break
    return items
