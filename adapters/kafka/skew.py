"""Measures at delivery reports how far the clock of this process is ahead of the brokers'."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError, Message

from schemas.clock_skew import CLOCK_SKEW, SAMPLE_SECONDS

Report = Callable[[KafkaError | None, Message | None], None]
"""Takes the delivery report of an entry."""


class SkewMeter:
    """Measures once every SAMPLE_SECONDS. For the thread that produces."""

    def __init__(self) -> None:
        self._measured_at = -math.inf

    def measuring(self, report: Report) -> Report:
        """Returns the report of an entry that is sent now, or one that measures the skew as well."""
        steady = time.monotonic()
        if steady < self._measured_at + SAMPLE_SECONDS:
            return report
        self._measured_at, sent = steady, time.time()

        def measure(error: KafkaError | None, message: Message | None) -> None:
            if error is None and message is not None:
                kind, logged_ms = message.timestamp()
                if kind == TIMESTAMP_LOG_APPEND_TIME:
                    CLOCK_SKEW.confirmed(sent, logged_ms / 1_000, time.time())
            report(error, message)

        return measure
