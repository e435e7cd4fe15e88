"""Exponentially decayed counts kept in log space, so that 1997 neither vanishes nor overflows.

A count with half-life h holds ``log2(sum_i 2 ** (t_i / h))`` over its events' times t_i. Its value at time
``now`` is ``2 ** (count - now / h)``. The order of times does not matter; late events count as late ones.
Forward decay: Cormode, Shkapenyuk, Srivastava, Xu, "Forward Decay", ICDE 2009.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from math import exp2, log2
from typing import Final

NOTHING: Final = -math.inf
HOUR: Final = 3_600.0
DAY: Final = 24 * HOUR


def log_add(left: float, right: float) -> float:
    """``log2(2**left + 2**right)``."""
    if left < right:
        left, right = right, left
    if right == NOTHING:
        return left
    return left + math.log2(1.0 + math.exp2(right - left))


def log_subtract(left: float, right: float) -> float:
    """``log2(2**left - 2**right)``; nothing where that is not positive."""
    if right == NOTHING:
        return left
    share = math.exp2(min(right - left, 1.0))
    return left + math.log2(1.0 - share) if share < 1.0 - 1e-12 else NOTHING


def value_at(count: float, half_life: float, now: float) -> float:
    """What a count is worth at ``now`` (seconds)."""
    return math.exp2(min(count - now / half_life, 1_000.0))


def add_to(counts: dict[str, float], by: Iterable[tuple[str, float]]) -> None:
    """Change named counts in place: so much more (log space) of some names."""
    for name, amount in by:
        held = counts.get(name)
        # As log_add does it, without a call for each.
        if held is None:
            counts[name] = amount
        elif held < amount:
            counts[name] = amount + log2(1.0 + exp2(held - amount))
        else:
            counts[name] = held + log2(1.0 + exp2(amount - held))


def take_from(counts: dict[str, float], by: Iterable[tuple[str, float]]) -> None:
    """Change named counts in place: so much less (log space) of some names; a count of nothing is left out."""
    for name, amount in by:
        left = log_subtract(counts.pop(name, NOTHING), amount)
        if left != NOTHING:
            counts[name] = left


def strongest(counts: dict[str, float], width: int) -> dict[str, float]:
    """The strongest ``width`` of named counts, in the order of their strength."""
    return {name: counts[name] for name in sorted(counts, key=lambda name: (counts[name], name))[-width:]}


def summed(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Named counts of several places as one."""
    merged: dict[str, float] = {}
    for part in parts:
        for name, count in part.items():
            merged[name] = log_add(merged.get(name, NOTHING), count)
    return merged
