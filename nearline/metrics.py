"""Nearline's metrics, each declared once; the Faust workers and the embedded loop share them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from schemas.errors import FenceMoved
from schemas.keys import Signal
from schemas.log import topics

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3_600)

EVENT_TO_SIGNAL: Final = Histogram(
    "freshet_event_to_signal_seconds",
    "Seconds from the log's acceptance of an event to the commit that counts it.",
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
    # Begin each series at 0: an alert on an increase would miss the first of a series that begins at 1.
    DEAD_LETTERS.labels(_topic)
RETRIES: Final = Counter(
    "freshet_nearline_retries_total", "Restarts of a partition at its fence, by reason.", ["reason"]
)
COMMITS: Final = Counter("freshet_nearline_commits_total", "Commits of a signal's values with their fence.", ["signal"])
COMMIT_SECONDS: Final = Histogram(
    "freshet_nearline_commit_seconds", "Seconds that the signal store took to commit.", buckets=SECONDS
)
FENCE_MOVED: Final = Counter(
    "freshet_nearline_fence_moved_total",
    "Commits refused because another writer had committed or the store had gone back in time.",
)
STORE_RETRIES: Final = Counter(
    "freshet_nearline_store_retries_total", "Times a partition waited because the signal store did not answer."
)
REBUILDS: Final = Counter(
    "freshet_nearline_rebuilds_total", "Rebuilds of a partition's signals from the log's start.", ["topic"]
)
CORRUPT: Final = Counter(
    "freshet_nearline_corrupt_values_total",
    "Stored values that could not be read and are made anew from the log.",
    ["signal"],
)
for _signal in Signal:
    CORRUPT.labels(_signal)
PASSIVATED: Final = Counter(
    "freshet_passivated_values_total", "Values of idle guests that were let go from the signal store."
)
RETURNED: Final = Counter(
    "freshet_returned_values_total",
    "Values that were folded again because their guest returned: equal to the value that was let go, or not (differs).",
    ["outcome"],
)
for _outcome in ("equal", "differs"):
    RETURNED.labels(_outcome)
RETURN_SECONDS: Final = Histogram(
    "freshet_return_seconds",
    "Seconds that the values of returned guests took to be folded. Their partition waits meanwhile.",
    buckets=SECONDS,
)
ARCHIVE_DAMAGED: Final = Counter(
    "freshet_archive_damaged_total",
    "Times that a file of the archive could not be decoded while values of returned guests were folded.",
)
ARCHIVED: Final = Counter(
    "freshet_nearline_archive_records_total",
    "Records applied from the archive, because retention had removed them from the log.",
    ["topic"],
)
MISSING: Final = Counter(
    "freshet_nearline_missing_records_total",
    "Offsets that retention removed before they were applied and that no archive holds.",
    ["topic"],
)
PARTITIONS: Final = Gauge("freshet_nearline_partitions", "Partitions that this worker keeps.", ["topic"])

SNAPSHOTS: Final = Counter(
    "freshet_snapshots_total",
    "Snapshots of a partition's signals by outcome: taken, abandoned, failed, loaded, refused (damaged) or unreadable.",
    ["topic", "outcome"],
)
for _topic in topics.FACTS:
    for _outcome in ("failed", "refused", "unreadable"):
        SNAPSHOTS.labels(_topic, _outcome)
SNAPSHOT_SECONDS: Final = Histogram(
    "freshet_snapshot_seconds", "Seconds that a snapshot of one partition took.", ["topic"], buckets=SECONDS
)
SNAPSHOT_AGE: Final = Gauge(
    "freshet_snapshot_age_seconds",
    "Age of the newest snapshot of a partition that has changed since; 0 if it has not.",
    ["topic", "partition"],
)
SNAPSHOT_INTERVAL: Final = Gauge(
    "freshet_snapshot_interval_seconds", "Seconds after which a changed partition is due for a snapshot."
)


@contextmanager
def measured_commit(signal: str) -> Iterator[None]:
    """Counts and times the commit that the block makes; counts a fence that had moved."""
    try:
        with COMMIT_SECONDS.time():
            yield
    except FenceMoved:
        FENCE_MOVED.inc()
        raise
    COMMITS.labels(str(signal)).inc()
