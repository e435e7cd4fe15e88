"""The metrics of the ingest tier, each declared once."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

EVENTS: Final = Counter(
    "freshet_ingest_events_total",
    "Events by what became of them (accepted, rejected, failed) and by type; a type not known here is 'unknown'.",
    ("outcome", "type"),
)
UPSERTS: Final = Counter(
    "freshet_ingest_upserts_total",
    "Changes of items and users by what became of them (accepted, rejected, failed).",
    ("outcome", "topic"),
)
REJECTED: Final = Counter(
    "freshet_ingest_rejected_total",
    "Events, items and users that validation refused, by the kind of fault.",
    ("reason",),
)
REQUESTS: Final = Counter(
    "freshet_ingest_requests_total", "Write requests by route and HTTP status.", ("route", "status")
)
APPEND_SECONDS: Final = Histogram(
    "freshet_ingest_append_seconds",
    "From handing records to the log until it confirmed them.",
    ("topic",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
QUEUE_DEPTH: Final = Gauge("freshet_ingest_queue_depth", "Records handed to the log and not yet confirmed.")
IMPORTED: Final = Counter(
    "freshet_ingest_imported_rows_total", "Rows of imported data sets that the log confirmed.", ("topic",)
)
REPLAYED: Final = Counter("freshet_ingest_dead_letters_replayed_total", "Dead letters put back on their topic.")
