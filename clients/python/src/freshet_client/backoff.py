"""How long to wait before a call is tried again."""

from __future__ import annotations

from random import Random
from typing import Final

RETRIED: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which the same call may succeed. All calls of this client may be repeated: nothing counts twice."""
_FIRST: Final = 0.1
_LONGEST: Final = 10.0


def backoff(attempt: int, random: Random, retry_after: float | None = None) -> float:
    """Returns the seconds to wait after this attempt (0 is the first): doubled each time, with jitter, at least ``retry_after``."""
    ceiling: float = min(_LONGEST, _FIRST * 2 ** min(attempt, 16))
    return max(retry_after or 0.0, 0.0) + ceiling * (0.5 + random.random() / 2)
