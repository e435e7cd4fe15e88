"""How far the clock of this process is ahead of the log's own.

Kafka stamps each record with the time of its broker and returns it with the confirmation. That time lies between the moment in
which the record was sent and the one in which it was confirmed, unless one of the clocks is wrong. A record that was read
shows at least that the log's clock has reached its time.

One wrong answer moves nothing: of the last SAMPLES measurements the smallest counts.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from prometheus_client import Gauge

from schemas.events import MAX_CLOCK_ERROR

if TYPE_CHECKING:
    from schemas.ports import Clock

SAMPLES: Final = 5
"""Measurements that have to agree."""
SAMPLE_SECONDS: Final = 1.0
"""Pause between two measurements."""
TOLD_SECONDS: Final = 30.0
"""Readiness reports a larger skew, and an alert fires."""
_BEYOND: Final = MAX_CLOCK_ERROR.total_seconds() / 2

SKEW: Final = Gauge(
    "freshet_clock_skew_seconds",
    "Seconds by which the clock of a process is ahead of the log's; negative if it is behind. 0 before the first measurement.",
)


class ClockSkew:
    """The measurements of one process; for any thread."""

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=SAMPLES)
        self.seconds = 0.0
        """Seconds by which this process is ahead of the log; negative if it is behind."""

    def confirmed(self, sent: float, logged: float, confirmed: float) -> None:
        """Take the log's time (seconds) of a record, and when it was sent and confirmed by this process's clock."""
        self._take(max(0.0, sent - logged) or min(0.0, confirmed - logged))

    def read(self, now: float, logged: float) -> None:
        """Take the log's time of a record that was read now. It can only show that this process is behind."""
        if now < logged:
            self._take(now - logged)

    def corrected(self, clock: Clock) -> Clock:
        """Returns a clock by which times are judged: this process's, or the log's if that is ahead.

        So an event that is not ahead of the log is never called ahead, and what is accepted here is not refused by a worker.
        A clock that is half a day ahead or more is not believed at all.
        """

        def now() -> float:
            own, skew = clock(), self.seconds
            return own if 0.0 <= skew < _BEYOND else own - skew

        return now

    def warnings(self) -> list[str]:
        """Returns a sentence if the skew is more than TOLD_SECONDS."""
        if abs(self.seconds) <= TOLD_SECONDS:
            return []
        side = "ahead of" if self.seconds > 0 else "behind"
        return [
            f"the clock of this machine is {abs(self.seconds):,.0f} s {side} the log's; look at its time synchronisation"
        ]

    def _take(self, sample: float) -> None:
        self._samples.append(sample)
        self.seconds = min(tuple(self._samples), key=abs)
        SKEW.set(self.seconds)


CLOCK_SKEW: Final = ClockSkew()
"""That of this process."""
