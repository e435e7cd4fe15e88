"""``pop`` counters: one item's events by type, as a plain count and one decayed count for each half-life.

A reader applies the weights of types. The half-lives are fixed when events are folded, because a decayed sum cannot
change its half-life later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from signals.counters import AggregateKind, Retraction, collect_entries
from signals.decay import DAY, HOUR, NOTHING, log_add, log_subtract
from signals.users import TYPES, Entry

HALF_LIVES: Final = (HOUR, DAY, 14 * DAY)
"""The half-lives of trending, in seconds.

Stored counts do not record their half-life. Who changes one must remove the aggregates, which the workers then rebuild from the log;
else counts of the old one and the new one are mixed. ``serving/ranking/candidates/trending.py`` has a source for each.
"""


class TypeCount(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Events of one type on one item: their number, and their decayed counts in log space for each of HALF_LIVES."""

    count: int
    decayed: tuple[float, float, float]


class PopularityCounters(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One item's events by type (the first TYPES types), and the times (seconds) of its first and latest event."""

    types: dict[str, TypeCount] = {}
    first: float = float("inf")
    last: float = float("-inf")


_EMPTY_TYPE: Final = TypeCount(0, (NOTHING, NOTHING, NOTHING))


def fold(counters: PopularityCounters, changes: Sequence[Entry | Retraction]) -> PopularityCounters:
    """Returns the counters after these entries are added or retracted."""
    types, first, last = counters.types.copy(), counters.first, counters.last
    for change in changes:
        if isinstance(change, Retraction):
            _uncount(types, change.change)
            continue
        type_, time = change.type, change.at
        if type_ not in types and len(types) >= TYPES:
            continue
        old = types.get(type_, _EMPTY_TYPE)
        (hour, day, fortnight), (hours, days, fortnights) = old.decayed, HALF_LIVES
        decayed = log_add(hour, time / hours), log_add(day, time / days), log_add(fortnight, time / fortnights)
        types[type_] = TypeCount(old.count + 1, decayed)
        first, last = min(first, time), max(last, time)
    return PopularityCounters(types, first, last)


class ItemPopularity(NamedTuple):
    """One item's events over all partitions, each with the weight of its type."""

    total: float
    """Weighted sum of all events, not decayed."""
    decayed: tuple[float, ...]
    """Weighted decayed sums in log space, one for each of HALF_LIVES."""
    first: float
    """Time (seconds) of the first event; NOTHING if there is none."""


def merge(counters: Sequence[PopularityCounters], weights: Mapping[str, float]) -> ItemPopularity:
    """Returns one item's weighted counts. Types without a weight count nothing; negative weights are subtracted."""
    first = min((partition.first for partition in counters), default=NOTHING)
    return ItemPopularity(_total(counters, weights), _decayed(counters, weights), first)


KIND: Final = AggregateKind("pop", PopularityCounters(), collect_entries, fold, merge)


def _decayed(counters: Sequence[PopularityCounters], weights: Mapping[str, float]) -> tuple[float, ...]:
    positive, negative = list(_EMPTY_TYPE.decayed), list(_EMPTY_TYPE.decayed)
    for partition in counters:
        for type_, type_count in partition.types.items():
            weight = weights.get(type_, 0.0)
            if weight:
                sums = positive if weight > 0 else negative
                for i, decayed in enumerate(type_count.decayed):
                    sums[i] = log_add(sums[i], decayed + math.log2(abs(weight)))
    return tuple(log_subtract(plus, minus) for plus, minus in zip(positive, negative, strict=True))


def _total(counters: Sequence[PopularityCounters], weights: Mapping[str, float]) -> float:
    return sum(
        weights.get(type_, 0.0) * type_count.count
        for partition in counters
        for type_, type_count in partition.types.items()
    )


def _uncount(types: dict[str, TypeCount], entry: Entry) -> None:
    if (old := types.get(entry.type)) is not None:
        (hour, day, fortnight), (hours, days, fortnights), at = old.decayed, HALF_LIVES, entry.at
        decayed = (
            log_subtract(hour, at / hours),
            log_subtract(day, at / days),
            log_subtract(fortnight, at / fortnights),
        )
        types[entry.type] = TypeCount(max(0, old.count - 1), decayed)
