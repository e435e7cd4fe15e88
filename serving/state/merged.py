"""Changed counters of all partitions, merged aside until they are adopted in one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

from serving.state.exposure import Exposed
from signals.decay import NOTHING
from signals.kinds.baskets import BasketCounters
from signals.kinds.covisits import CovisitCounters
from signals.kinds.popularity import HALF_LIVES
from signals.kinds.tail import TailChunk


class Merged(NamedTuple):
    """Changed counters, merged over all partitions, ready for ``adopt``; by position."""

    decayed: dict[int, tuple[float, ...]]
    counts: dict[int, float]
    followers: dict[int, tuple[CovisitCounters, ...]]
    """The counters of each partition; tuples, because the garbage collector stops tracking them."""
    companions: dict[int, tuple[BasketCounters, ...]]
    exposed: dict[int, Exposed]
    contexts: dict[int, dict[str, float]]
    tails: dict[int, list[TailChunk]]
    """By partition."""

    @classmethod
    def nothing(cls) -> Self:
        """An empty value to merge into."""
        return cls({}, {}, {}, {}, {}, {}, {})

    @classmethod
    def without(cls, positions: Sequence[int]) -> Self:
        """No counts for the items at these positions."""
        none = (NOTHING,) * len(HALF_LIVES)
        return cls(dict.fromkeys(positions, none), dict.fromkeys(positions, 0.0), {}, {}, {}, {}, {})
