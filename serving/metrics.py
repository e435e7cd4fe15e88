"""The metrics of the serving tier, each declared once."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_FAST: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

REQUESTS: Final = Counter(
    "freshet_requests_total",
    "Read requests by route and outcome: ok, degraded (answered with something missing), invalid (4xx), error (5xx).",
    ("route", "outcome"),
)
REQUEST_SECONDS: Final = Histogram(
    "freshet_request_seconds", "From the request's arrival in the handler to its answer.", ("route",), buckets=_FAST
)
DEGRADED: Final = Counter(
    "freshet_degraded_total",
    "Answers that had to do without something, by what: signals, links, lists, profiles, after, catalogue, ranking.",
    ("reason",),
)
FALLBACKS: Final = Counter(
    "freshet_fallback_items_total",
    "Recommended items that no source chose: a list that was too short was filled up with popular or new ones.",
)
SOURCE_SECONDS: Final = Histogram(
    "freshet_source_seconds", "Reading one source of an answer, by source.", ("source",), buckets=_FAST
)
SOURCE_OUTCOMES: Final = Counter(
    "freshet_source_total",
    "Reads of a source by outcome: ok, timeout, failed, open (not tried, its breaker is open).",
    ("source", "outcome"),
)
CANDIDATES_SECONDS: Final = Histogram(
    "freshet_candidates_seconds",
    "Computing one source's candidates, by source; of one list in sixteen.",
    ("source",),
    buckets=(0.00005, 0.0001, 0.00025, *_FAST[:7]),
)
CANDIDATES: Final = Counter(
    "freshet_candidates_total", "Candidates of each source, before the blend; of the same lists.", ("source",)
)
BREAKER_OPEN: Final = Gauge(
    "freshet_breaker_open", "1 while a source is not tried because it kept failing.", ("source",)
)
AFTER_WAIT_SECONDS: Final = Histogram(
    "freshet_after_wait_seconds", "How long reads with after= waited for their event.", buckets=_FAST
)
RESULT_SETS: Final = Counter(
    "freshet_result_sets_total",
    "Looks for a list made a moment ago by outcome: hit (given again), miss (made anew).",
    ("outcome",),
)
MODEL_AGE_SECONDS: Final = Gauge("freshet_model_age_seconds", "Age of the loaded model version; 0 while there is none.")
MODEL_LOADED: Final = Gauge("freshet_model_loaded", "1 while a model version is loaded.")
MODEL_LOADS: Final = Counter(
    "freshet_model_loads_total", "Model versions taken over, or not, by outcome: ok, failed.", ("outcome",)
)
CATALOGUE_ITEMS: Final = Gauge("freshet_catalogue_items", "Items in memory, those known from events alone included.")
FOLLOW_AGE_SECONDS: Final = Gauge(
    "freshet_follow_age_seconds", "Since a followed signal (items, aggregates) was last read whole.", ("signal",)
)
FOLLOW_FAILURES: Final = Counter(
    "freshet_follow_failures_total", "Reads of a followed signal that failed; the older view stays.", ("signal",)
)
NOTIFICATION_STREAMS: Final = Gauge(
    "freshet_notification_streams", "Clients that wait to be told that their list has changed."
)
NOTIFICATIONS: Final = Counter(
    "freshet_notifications_total", "Times that a client was told that a new model changed its list."
)
DECISIONS: Final = Counter(
    "freshet_decisions_total",
    "Decision records by outcome: written, dropped (the queue was full), failed (the log did not take it).",
    ("outcome",),
)
