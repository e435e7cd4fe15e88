"""A token bucket for each client, so that no client can block the others."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from schemas.ports import Clock

_CLIENTS: Final = 10_000
"""Most clients that are remembered; the least recent one is forgotten first."""


class RateLimiter:
    """``rate`` tokens a second up to ``burst``, for each client. For one event loop."""

    def __init__(self, rate: float, burst: float, clock: Clock) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str, cost: int) -> float:
        """Takes ``cost`` tokens and returns 0, or takes none and returns the seconds until there is one.

        A bucket that is not empty may go below zero, so that a batch larger than the burst can pass too.
        """
        now = self._clock()
        tokens, filled_at = self._buckets.pop(client, (self._burst, now))
        tokens = min(self._burst, tokens + max(0.0, now - filled_at) * self._rate)
        self._buckets[client] = (tokens - cost if tokens >= 1 else tokens, now)
        if len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if tokens >= 1 else (1 - tokens) / self._rate
