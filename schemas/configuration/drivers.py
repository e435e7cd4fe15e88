"""The optional packages that a cluster needs, and the sentence for a process that runs without them."""

from __future__ import annotations

from typing import Final

DRIVERS: Final = frozenset(
    {"aiokafka", "cassandra", "confluent_kafka", "cramjam", "faust", "mode", "pandas", "pyspark", "redis"}
)
"""Import names of the packages of the extra ``cluster``."""


def missing_driver(error: ImportError) -> str | None:
    """A sentence that says which driver is missing and how to install it; None if no driver is."""
    if (error.name or "").partition(".")[0] not in DRIVERS:
        return None
    return f"the cluster's drivers are not installed ({error.name} is missing): run `make dev`, or `pip install 'freshet[cluster]'`"
