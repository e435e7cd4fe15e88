"""Confirms a finding that would make a worker reset values or skip records, before it does so.

One answer of a log can be wrong: a broker that has just become the leader may lack the newest records, or a client may hold
old metadata. So the worker looks several times, over some time, and by connections of its own.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

LOOKS: Final = 3
"""Number of looks that must agree."""


class Confirmation:
    """Counts the looks that agree. For one worker."""

    def __init__(self) -> None:
        self._finding: Hashable = None
        self._looks, self._first = 0, 0.0

    def confirms(self, finding: Hashable, now: float, seconds: float) -> bool:
        """True if the last LOOKS looks, and all of the last ``seconds`` seconds, had this finding."""
        if finding != self._finding or now < self._first:
            self._finding, self._looks, self._first = finding, 0, now
        self._looks += 1
        return self._looks >= LOOKS and now - self._first >= seconds

    def reset(self) -> None:
        """Forget the last finding, because another look contradicts it."""
        self._finding = None
