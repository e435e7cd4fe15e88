"""``next`` cells: directed co-visitation: after an item, which items the same users went on to.

An item is also linked back to those before it, by a share of the weight: what goes together goes together in either
order, only less so. What is taken back stays in them, and decays.
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
"""How many distinct earlier items an interaction is linked to."""
NEXT_FADING: Final = 0.8
"""The n-th newest of them is linked with the weight n^-NEXT_FADING."""
BACKWARD: Final = 0.25
"""The share of a link's weight that the link back has."""
NEXT_WIDTH: Final = 128
"""Followers that outlive a trimming, an item and partition; the weakest go first."""
NEXT_SLACK: Final = 64
"""Followers taken in beyond that before the next trimming: so most co-visits cost no search for the weakest."""
NEXT_WINDOW_SECONDS: Final = 365 * DAY
"""Earlier interactions older than this, by event time, are not linked."""
_BACK: Final = math.log2(BACKWARD)
_WEIGHTS: Final = tuple(math.log2(distance**-NEXT_FADING) for distance in range(1, NEXT_REACH + 1))


class CovisitCounters(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """After one item: followers with their decayed co-visits in log space (NEXT_HALF_LIFE)."""

    followers: dict[str, float] = {}


def gather(transitions: Iterable[Transition], changes: Changes) -> None:
    """The items that a user was at before are followed by the one of an interaction, and it, less so, by them."""
    for transition in transitions:
        if (entry := transition.entry) is None or not (linked := _linked(entry, transition.earlier)):
            continue
        own, at = entry.item, entry.at / NEXT_HALF_LIFE
        back = []
        for item, weight in zip(linked, _WEIGHTS, strict=False):
            amount = at + weight
            changes[item].append(((own, amount),))
            back.append((item, amount + _BACK))
        changes[own].append(back)


def fold(cell: CovisitCounters, by: Sequence[Sequence[tuple[str, float]]]) -> CovisitCounters:
    """Each of ``by`` are links of one interaction."""
    followers = cell.followers.copy()
    if len(followers) + sum(map(len, by)) <= NEXT_WIDTH + NEXT_SLACK:
        add_to(followers, chain.from_iterable(by))
        return CovisitCounters(followers)
    for links in by:
        add_to(followers, links)
        if len(followers) > NEXT_WIDTH + NEXT_SLACK:
            followers = strongest(followers, NEXT_WIDTH)
    return CovisitCounters(followers)


def merge(counters: Sequence[CovisitCounters], _: Mapping[str, float]) -> dict[str, float]:
    """Returns the followers of an item by id, with their decayed co-visits in log space (NEXT_HALF_LIFE)."""
    return summed(partition.followers for partition in counters)


KIND: Final = AggregateKind("next", CovisitCounters(), gather, fold, merge)


def _linked(entry: Entry, earlier: Sequence[Entry]) -> Iterable[str]:
    """Distinct earlier items, newest first."""
    items: dict[str, None] = {}
    if entry.type in NEGATIVE:
        return items
    own, at = entry.item, entry.at
    for past in reversed(earlier):
        if past.item != own and past.type not in NEGATIVE and at - past.at <= NEXT_WINDOW_SECONDS:
            items[past.item] = None
            if len(items) == NEXT_REACH:
                break
    return items
