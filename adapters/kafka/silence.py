"""Knows whether Kafka is silent, so that nobody waits for a confirmation that cannot come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from schemas.ports import Clock

_BETWEEN_LOOKS: Final = 0.5
_log = structlog.get_logger(__name__)


class Silence:
    """Whether Kafka is silent. The thread that polls the producer calls every method; any thread may read ``known``.

    Kafka is suspected when all its brokers are disconnected, or when an entry has timed out and none was confirmed for as long
    as an entry may wait. Then a look decides: it asks for metadata. While Kafka is silent, a look is repeated twice a second,
    and the first answer ends the silence.
    """

    def __init__(self, delivery_seconds: float, clock: Clock) -> None:
        self.known = False
        """True while Kafka is known not to answer."""
        self._delivery_seconds, self._clock = delivery_seconds, clock
        self._suspected = False
        self._confirmed_at = self._looked_at = float("-inf")

    def suspect(self) -> None:
        """All brokers are disconnected."""
        self._suspected = True

    def reported(self, confirmed: bool) -> None:
        """An entry was confirmed, or no broker answered for it."""
        now = self._clock()
        if confirmed:
            self._confirmed_at = now
        elif now - self._confirmed_at >= self._delivery_seconds:
            self._suspected = True

    def look(self, answers: Callable[[], bool]) -> None:
        """Asks Kafka, where it is suspected or silent and was not asked just now."""
        if not (self.known or self._suspected) or self._clock() - self._looked_at < _BETWEEN_LOOKS:
            return
        silent = not answers()
        self._looked_at, self._suspected = self._clock(), False
        if silent != self.known:
            _log.warning("log_is_silent" if silent else "log_answers_again", log="kafka")
        self.known = silent
