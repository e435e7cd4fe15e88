"""``next`` counters: directed co-visitation. For each item, its followers: the items that the same users visited later.

Each visit also adds a link in the backward direction, with a share of the weight, because users visit related items in
either order. A retracted event stays counted here until it has decayed. ``next`` is the stored name of this kind.
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

HALF_LIFE: Final = 120 * DAY
MAX_LINKS: Final = 16
"""Limit of distinct earlier items that an interaction is linked to."""
FADING: Final = 0.8
"""The link from the n-th newest earlier item has the weight n^-FADING."""
BACKWARD: Final = 0.25
"""Weight of a backward link, as a share of the forward link's weight."""
WIDTH: Final = 128
"""Followers of an item that remain after a trimming, in each partition. The weakest are dropped."""
SLACK: Final = 64
"""Followers that may exceed WIDTH before the next trimming, so that most co-visits need no trimming."""
WINDOW_SECONDS: Final = 365 * DAY
"""An earlier interaction is linked only if it is at most this much older, by event time."""
_BACK: Final = math.log2(BACKWARD)
_WEIGHTS: Final = tuple(math.log2(distance**-FADING) for distance in range(1, MAX_LINKS + 1))


class CovisitCounters(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One item's followers with their decayed co-visits in log space (HALF_LIFE)."""

    followers: dict[str, float] = {}


def collect(transitions: Iterable[Transition], changes: Changes) -> None:
    """Links each earlier item of a user to the item of an interaction, and adds the backward links."""
    for transition in transitions:
        if (entry := transition.entry) is None or not (linked := _linked(entry, transition.earlier)):
            continue
        own, time = entry.item, entry.at / HALF_LIFE
        links_back = []
        for item, weight in zip(linked, _WEIGHTS, strict=False):
            amount = time + weight
            changes[item].append(((own, amount),))
            links_back.append((item, amount + _BACK))
        changes[own].append(links_back)


def fold(counters: CovisitCounters, changes: Sequence[Sequence[tuple[str, float]]]) -> CovisitCounters:
    """Returns the counters after these links are added. Each change holds the links of one interaction."""
    followers = counters.followers.copy()
    if len(followers) + sum(map(len, changes)) <= WIDTH + SLACK:
        add_to(followers, chain.from_iterable(changes))
        return CovisitCounters(followers)
    for links in changes:
        add_to(followers, links)
        if len(followers) > WIDTH + SLACK:
            followers = strongest(followers, WIDTH)
    return CovisitCounters(followers)


def merge(counters: Sequence[CovisitCounters], _: Mapping[str, float]) -> dict[str, float]:
    """Returns the followers of an item by id, with their decayed co-visits in log space (HALF_LIFE)."""
    return summed(partition.followers for partition in counters)


KIND: Final = AggregateKind("next", CovisitCounters(), collect, fold, merge)


def _linked(entry: Entry, earlier: Sequence[Entry]) -> Iterable[str]:
    """Returns the distinct earlier items, newest first."""
    items: dict[str, None] = {}
    if entry.type in NEGATIVE:
        return items
    own, time = entry.item, entry.at
    for past in reversed(earlier):
        if past.item != own and past.type not in NEGATIVE and time - past.at <= WINDOW_SECONDS:
            items[past.item] = None
            if len(items) == MAX_LINKS:
                break
    return items
