"""Exponentially decayed counts in log space. There, counts of events from 1997 neither vanish nor overflow.

A count with half-life h stores ``log2(sum_i 2 ** (t_i / h))`` over its events' times t_i. Its value at time
``now`` is ``2 ** (count - now / h)``. The order of events does not matter: a late event counts as of its own time.
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
    """Returns ``log2(2**left + 2**right)``."""
    if left < right:
        left, right = right, left
    if right == NOTHING:
        return left
    return left + math.log2(1.0 + math.exp2(right - left))


def log_subtract(left: float, right: float) -> float:
    """Returns ``log2(2**left - 2**right)``, or NOTHING if the difference is not positive."""
    if right == NOTHING:
        return left
    share = math.exp2(min(right - left, 1.0))
    return left + math.log2(1.0 - share) if share < 1.0 - 1e-12 else NOTHING


def value_at(count: float, half_life: float, now: float) -> float:
    """Returns the value of a count at ``now`` (seconds)."""
    return math.exp2(min(count - now / half_life, 1_000.0))


def add_to(counts: dict[str, float], amounts: Iterable[tuple[str, float]]) -> None:
    """Add amounts (log space) to the counts of their names, in place."""
    for name, amount in amounts:
        count = counts.get(name)
        # The same sum as log_add, without a function call for each amount.
        if count is None:
            counts[name] = amount
        elif count < amount:
            counts[name] = amount + log2(1.0 + exp2(count - amount))
        else:
            counts[name] = count + log2(1.0 + exp2(amount - count))


def take_from(counts: dict[str, float], amounts: Iterable[tuple[str, float]]) -> None:
    """Subtract amounts (log space) from the counts of their names, in place. A count that falls to zero is removed."""
    for name, amount in amounts:
        rest = log_subtract(counts.pop(name, NOTHING), amount)
        if rest != NOTHING:
            counts[name] = rest


def strongest(counts: dict[str, float], width: int) -> dict[str, float]:
    """Returns the ``width`` greatest counts by name, in ascending order."""
    return {name: counts[name] for name in sorted(counts, key=lambda name: (counts[name], name))[-width:]}


def summed(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Returns the sum of counts by name over several parts."""
    merged: dict[str, float] = {}
    for part in parts:
        for name, count in part.items():
            merged[name] = log_add(merged.get(name, NOTHING), count)
    return merged
