"""``pop`` cells: one item's events by type, with a plain count and one decayed count a half-life.

Weights of types come in when a cell is read; only half-lives are fixed at the fold, because a decayed sum cannot
change its own later.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from signals.counters import AggregateKind, Retraction, gather_entries
from signals.decay import DAY, HOUR, NOTHING, log_add, log_subtract
from signals.users import TYPES, Entry

HALF_LIVES: Final = (HOUR, DAY, 14 * DAY)
"""Seconds; the ladder of trending half-lives that a cell keeps."""


class TypeCount(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Events of one type on one item: how many, and decayed counts in log space, one for each of HALF_LIVES."""

    count: int
    decayed: tuple[float, ...]


class PopularityCell(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One item's events by type (the first TYPES of them), and the time (seconds) of its first and latest."""

    types: dict[str, TypeCount] = {}
    first: float = float("inf")
    last: float = float("-inf")


_EMPTY_TYPE: Final = TypeCount(0, (NOTHING,) * len(HALF_LIVES))


def fold(cell: PopularityCell, by: Sequence[Entry | Retraction]) -> PopularityCell:
    """Entries count, those that are gone no longer."""
    types, first, last = cell.types.copy(), cell.first, cell.last
    for each in by:
        if isinstance(each, Retraction):
            _uncount(types, each.by)
            continue
        kind, at = each.type, each.at
        if kind not in types and len(types) >= TYPES:
            continue
        old = types.get(kind, _EMPTY_TYPE)
        decayed = tuple([log_add(d, at / h) for d, h in zip(old.decayed, HALF_LIVES, strict=True)])
        types[kind] = TypeCount(old.count + 1, decayed)
        first, last = min(first, at), max(last, at)
    return PopularityCell(types, first, last)


KIND: Final = AggregateKind("pop", PopularityCell(), gather_entries, fold)


def merge_popularity(cells: Iterable[PopularityCell], weights: Mapping[str, float]) -> tuple[float, ...]:
    """One item's cells from several partitions as one weighted decayed count (log space) a half-life.

    Types without a weight count nothing; types with a negative weight take away.
    """
    up, down = list(_EMPTY_TYPE.decayed), list(_EMPTY_TYPE.decayed)
    for cell in cells:
        for kind, counted in cell.types.items():
            weight = weights.get(kind, 0.0)
            if weight:
                into = up if weight > 0 else down
                for i, decayed in enumerate(counted.decayed):
                    into[i] = log_add(into[i], decayed + math.log2(abs(weight)))
    return tuple(log_subtract(plus, minus) for plus, minus in zip(up, down, strict=True))


def merge_count(cells: Iterable[PopularityCell], weights: Mapping[str, float]) -> float:
    """One item's plain weighted count over several partitions."""
    return sum(weights.get(kind, 0.0) * counted.count for cell in cells for kind, counted in cell.types.items())


def _uncount(types: dict[str, TypeCount], entry: Entry) -> None:
    if (old := types.get(entry.type)) is not None:
        decayed = tuple([log_subtract(d, entry.at / h) for d, h in zip(old.decayed, HALF_LIVES, strict=True)])
        types[entry.type] = TypeCount(max(0, old.count - 1), decayed)
