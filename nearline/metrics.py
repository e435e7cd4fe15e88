"""Nearline's metrics, each declared once."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

EVENT_TO_SIGNAL: Final = Histogram(
    "freshet_event_to_signal_seconds",
    "From the log's taking of an event to the commit that made it count; one observation a commit, its oldest event.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3_600),
)
LAG: Final = Gauge("freshet_nearline_lag", "Records on the log that are not yet applied.", ["topic", "partition"])
EVENTS: Final = Counter(
    "freshet_nearline_events_total", "Records that nearline took from the log.", ["topic", "outcome"]
)
DEAD_LETTERS: Final = Counter("freshet_dead_letters_total", "Records that could not be decoded or applied.", ["topic"])
RETRIES: Final = Counter(
    "freshet_nearline_retries_total", "Times a partition was taken up again at its fence, by reason.", ["reason"]
)
