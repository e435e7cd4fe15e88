"""``ctx`` counters: one item's events by country, device and hour of the day.

Serving reads from them which items trend in a request's context. A reader applies the weights of types.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from signals.counters import AggregateKind, Retraction, collect_entries
from signals.decay import DAY, HOUR, NOTHING, add_to, log_add, log_subtract, strongest, summed, take_from
from signals.users import Entry

HALF_LIFE: Final = 3 * DAY
WIDTH: Final = 64
"""Counts of an item that remain after a trimming, in each partition. The weakest are dropped."""
SLACK: Final = 32
"""Counts that may exceed WIDTH before the next trimming."""


class ContextCounters(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One item's decayed counts in log space (HALF_LIFE) by ``type|dimension:value``."""

    counts: dict[str, float] = {}


def hour_label(seconds: float) -> str:
    """Returns the label of the hour of the day (UTC) of a time (seconds since 1970)."""
    return f"hour:{int(seconds % DAY // HOUR)}"


def fold(counters: ContextCounters, changes: Sequence[Entry | Retraction]) -> ContextCounters:
    """Returns the counters after these entries are added to each of their contexts, or retracted."""
    counts = counters.counts.copy()
    for change in changes:
        if isinstance(change, Retraction):
            take_from(counts, _counts(change.change))
            continue
        add_to(counts, _counts(change))
        if len(counts) > WIDTH + SLACK:
            counts = strongest(counts, WIDTH)
    return ContextCounters(counts)


def merge(counters: Sequence[ContextCounters], weights: Mapping[str, float]) -> dict[str, float]:
    """Returns one item's weighted decayed counts in log space (HALF_LIFE) by ``dimension:value``.

    Types without a weight count nothing. Types with a negative weight are subtracted.
    """
    positive: dict[str, float] = {}
    negative: dict[str, float] = {}
    for name, count in summed(partition.counts for partition in counters).items():
        type_, _, label = name.partition("|")
        if weight := weights.get(type_, 0.0):
            sums = positive if weight > 0 else negative
            sums[label] = log_add(sums.get(label, NOTHING), count + math.log2(abs(weight)))
    return {label: log_subtract(count, negative.get(label, NOTHING)) for label, count in positive.items()}


KIND: Final = AggregateKind("ctx", ContextCounters(), collect_entries, fold, merge)


def _counts(entry: Entry) -> list[tuple[str, float]]:
    amount = entry.at / HALF_LIFE
    return [(f"{entry.type}|{label}", amount) for label in (*entry.context, hour_label(entry.at))]
