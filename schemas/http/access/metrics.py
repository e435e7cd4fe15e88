"""The metrics of the check of access, each declared once."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

REFUSED: Final = Counter(
    "freshet_access_refused_total", "Requests that the check of access refused, by the code of the problem.", ("code",)
)
AUDIT_FAILURES: Final = Counter(
    "freshet_audit_failures_total", "Changes whose audit record the log did not take; the process's own log holds them."
)
NONCES_NOT_SHARED: Final = Counter(
    "freshet_access_nonces_not_shared_total",
    "Signed requests whose nonce this process alone remembers, because the store that the processes share did not reply.",
)
READ_AT: Final = Gauge(
    "freshet_access_keys_read_timestamp_seconds",
    "When the process last read the keys from the log, in seconds since 1970; 0 before the first time.",
)
