"""Nearline's metrics, each declared once; the Faust workers and the embedded loop share them."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from schemas.log import topics

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3_600)

EVENT_TO_SIGNAL: Final = Histogram(
    "freshet_event_to_signal_seconds",
    "From the log's taking of an event to the commit that made it count.",
    buckets=SECONDS,
)
LAG: Final = Gauge(
    "freshet_nearline_lag_records", "Records on the log that are not yet applied.", ["topic", "partition"]
)
EVENTS: Final = Counter(
    "freshet_nearline_events_total",
    "Records by outcome: applied, skipped because applied before, or refused.",
    ["topic", "outcome"],
)
DEAD_LETTERS: Final = Counter("freshet_dead_letters_total", "Records that could not be decoded or applied.", ["topic"])
for _topic in topics.FACTS:
    # Counted from 0: an alert on an increase would miss the first of a series that begins at 1.
    DEAD_LETTERS.labels(_topic)
RETRIES: Final = Counter(
    "freshet_nearline_retries_total", "Times a partition was taken up again at its fence, by reason.", ["reason"]
)
COMMITS: Final = Counter("freshet_nearline_commits_total", "Commits of a signal's values with their fence.", ["signal"])
COMMIT_SECONDS: Final = Histogram(
    "freshet_nearline_commit_seconds", "How long the signal store took to commit.", buckets=SECONDS
)
FENCE_MOVED: Final = Counter(
    "freshet_nearline_fence_moved_total", "Commits that lost to another writer, or met a store that went back."
)
STORE_RETRIES: Final = Counter(
    "freshet_nearline_store_retries_total", "Times a partition waited because the signal store did not answer."
)
REBUILDS: Final = Counter(
    "freshet_nearline_rebuilds_total", "Times a partition's signals were begun anew from the log's start.", ["topic"]
)
ARCHIVED: Final = Counter(
    "freshet_nearline_archive_records_total",
    "Records applied from the archive, as the log held them no more.",
    ["topic"],
)
MISSING: Final = Counter(
    "freshet_nearline_missing_records_total",
    "Offsets that retention took before they were applied and that no archive held.",
    ["topic"],
)
PARTITIONS: Final = Gauge("freshet_nearline_partitions", "Partitions that this worker keeps.", ["topic"])
