"""The metrics of the serving tier, each declared once."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_FAST: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

REQUESTS: Final = Counter(
    "freshet_requests_total",
    "Read requests by route and outcome: ok, degraded (some inputs are missing), invalid (4xx), error (5xx).",
    ("route", "outcome"),
)
REQUEST_SECONDS: Final = Histogram(
    "freshet_request_seconds", "Time from the start of the handler to its answer.", ("route",), buckets=_FAST
)
DEGRADED: Final = Counter(
    "freshet_degraded_total",
    "Answers with a missing input, by input: signals, links, lists, profiles, after, catalogue, aggregates, models, ranking.",
    ("reason",),
)
FALLBACKS: Final = Counter(
    "freshet_fallback_items_total",
    "Recommended items that no candidate source proposed: popular or new items that backfilled a short list.",
)
STORE_SECONDS: Final = Histogram(
    "freshet_source_seconds", "Time of one read of a store, by store (label `source`).", ("source",), buckets=_FAST
)
STORE_OUTCOMES: Final = Counter(
    "freshet_source_total",
    "Reads of a store (label `source`) by outcome: ok, timeout, failed, corrupt, open (not read, its breaker is open).",
    ("source", "outcome"),
)
CANDIDATES_SECONDS: Final = Histogram(
    "freshet_candidates_seconds",
    "Time to compute the candidates of a candidate source; measured for one list in sixteen.",
    ("source",),
    buckets=(0.00005, 0.0001, 0.00025, *_FAST[:7]),
)
CANDIDATES: Final = Counter(
    "freshet_candidates_total",
    "Candidates of each source before the blend, by source; counted for the same lists.",
    ("source",),
)
BREAKER_OPEN: Final = Gauge(
    "freshet_breaker_open",
    "1 while the breaker of a store (label `source`) is open, because it failed several times in a row.",
    ("source",),
)
AFTER_WAIT_SECONDS: Final = Histogram(
    "freshet_after_wait_seconds", "Time that reads with after= waited for their event.", buckets=_FAST
)
RESULT_SETS: Final = Counter(
    "freshet_result_sets_total",
    "Reads of the result cache by outcome: hit (the cached list is returned), miss (a new list is built).",
    ("outcome",),
)
MODEL_AGE_SECONDS: Final = Gauge("freshet_model_age_seconds", "Age of the loaded model version; 0 without a model.")
MODEL_LOADED: Final = Gauge("freshet_model_loaded", "1 while a model version is loaded.")
MODEL_LOADS: Final = Counter(
    "freshet_model_loads_total", "Loads of model versions by outcome: ok, failed.", ("outcome",)
)
CATALOGUE_ITEMS: Final = Gauge("freshet_catalogue_items", "Items in memory, including those known only from events.")
WAITING_ITEMS: Final = Gauge(
    "freshet_waiting_items", "Ids without item data that too few people were at; they are not in the catalogue yet."
)
FILTER_COLUMNS: Final = Counter(
    "freshet_filter_columns_total",
    "Columns of item fields that were made for filters, by outcome: read, refused (larger than FRESHET_FILTER_COLUMNS_MIB).",
    ("outcome",),
)
BARE_ITEM_BYTES: Final = Gauge(
    "freshet_bare_item_bytes",
    "Memory of the ids without item data that no model knows, about; FRESHET_BARE_ITEMS_MIB is its limit.",
)
ITEMS_LET_GO: Final = Counter(
    "freshet_items_let_go_total", "Ids without item data that were let go because all such ids took too much memory."
)
FOLLOW_AGE_SECONDS: Final = Gauge(
    "freshet_follow_age_seconds",
    "Time since all partitions of a synced signal (items, aggregates) were last read.",
    ("signal",),
)
FOLLOW_FAILURES: Final = Counter(
    "freshet_follow_failures_total", "Failed reads of a synced signal; the earlier state is still served.", ("signal",)
)
UNREADABLE: Final = Counter(
    "freshet_unreadable_values_total",
    "Stored values of a synced signal that could not be read. The earlier ones are served until the worker heals them.",
    ("signal",),
)
NOTIFICATION_STREAMS: Final = Gauge(
    "freshet_notification_streams", "Clients with an open stream of notifications about their list."
)
NOTIFICATIONS: Final = Counter(
    "freshet_notifications_total", "Notifications sent to clients whose list was changed by a new model."
)
DECISIONS: Final = Counter(
    "freshet_decisions_total",
    "Decision records by outcome: written, dropped (the queue was full), failed (the log refused it), not_sampled (left out on purpose).",
    ("outcome",),
)
