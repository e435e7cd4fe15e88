"""Token buckets for each client, so that no client can block the others."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final, NamedTuple

from starlette.types import Scope

from schemas.http.access.callers import address_of, principal_of
from schemas.http.problems import ProblemError
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


class ClientLimits(NamedTuple):
    """The limits of clients. A key that an application holds is counted by itself, wherever its requests come from.

    Requests without a key, or with a public one, which many browsers share, are counted by their address; those of a public
    key are counted together as well.
    """

    by_address: RateLimiter | None = None
    by_key: RateLimiter | None = None

    def check(self, scope: Scope, cost: int) -> None:
        """Counts what a request costs; raises ProblemError (429) if its client has sent too much."""
        principal = principal_of(scope)
        if self.by_address is not None and (principal.kind != "key" or principal.is_public):
            _refuse_for(self.by_address.wait(address_of(scope), cost), "this client")
        if self.by_key is not None and principal.kind == "key":
            _refuse_for(self.by_key.wait(principal.who, cost), f"the key {principal.who}")


def client_limits(by_address: tuple[float, float], by_key: tuple[float, float], clock: Clock) -> ClientLimits:
    """The limits with these rates a second and bursts; a rate of 0 is no limit."""
    limiters = [RateLimiter(rate, burst, clock) if rate else None for rate, burst in (by_address, by_key)]
    return ClientLimits(*limiters)


def _refuse_for(seconds: float, who: str) -> None:
    if seconds > 0:
        headers = {"Retry-After": str(math.ceil(seconds))}
        raise ProblemError(429, "rate", f"too much from {who}; wait {seconds:.1f} s", headers=headers)
