"""Exponentially decayed counts kept in log space, so that 1997 neither vanishes nor overflows.

A count with half-life h holds ``log2(sum_i 2 ** (t_i / h))`` over its events' times t_i. Its value at time
``now`` is ``2 ** (count - now / h)``. The order of times does not matter; late events count as late ones.
Forward decay: Cormode, Shkapenyuk, Srivastava, Xu, "Forward Decay", ICDE 2009.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
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


def at_time(at: float, half_life: float, weight: float = 1.0) -> float:
    """One event of this weight at this time (seconds), in log space."""
    return at / half_life + math.log2(weight)


def value_at(count: float, half_life: float, now: float) -> float:
    """What a count is worth at ``now`` (seconds)."""
    return math.exp2(min(count - now / half_life, 1_000.0))


def added(counts: dict[str, float], name: str, amount: float) -> dict[str, float]:
    """Named counts with this much more (log space) of one name."""
    return more(counts, ((name, amount),))


def more(counts: dict[str, float], by: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Named counts with so much more (log space) of some names."""
    changed = counts.copy()
    for name, amount in by:
        held = changed.get(name)
        changed[name] = amount if held is None else log_add(held, amount)
    return changed


def taken(counts: dict[str, float], name: str, amount: float) -> dict[str, float]:
    """Named counts with this much less (log space) of one name; a count of nothing is left out."""
    changed = counts.copy()
    left = log_subtract(changed.pop(name, NOTHING), amount)
    return changed if left == NOTHING else changed | {name: left}


def trimmed(counts: dict[str, float], width: int, slack: int) -> dict[str, float]:
    """Named counts, only the strongest ``width`` of them where they are more than ``width + slack``."""
    if len(counts) <= width + slack:
        return counts
    return {name: counts[name] for name in sorted(counts, key=lambda name: (counts[name], name))[-width:]}


def summed(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Named counts of several places as one."""
    merged: dict[str, float] = {}
    for part in parts:
        for name, count in part.items():
            merged[name] = log_add(merged.get(name, NOTHING), count)
    return merged
