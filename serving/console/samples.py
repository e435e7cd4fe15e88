"""Takes samples of the metrics that the figures of the console are made from, out of this process's registry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.samples import Sample as MetricSample

from schemas.ports import Clock
from serving.console.figures import ANSWER_TIME, FRESHNESS, SAMPLE_SECONDS, FigureHistory, Sample

_LISTS: Final = frozenset(
    {"recommendations", "session", "rank", "similar", "together", "popular", "trending", "latest"}
)
"""The routes that answer with a list."""
_EVENTS: Final = "freshet_ingest_events_total"
_REQUESTS: Final = "freshet_requests_total"
_LAG: Final = "freshet_nearline_lag_records"
_MODEL_AGE: Final = "freshet_model_age_seconds"
_MODEL_LOADED: Final = "freshet_model_loaded"
_HISTOGRAMS: Final = {
    "freshet_event_to_signal_seconds_bucket": FRESHNESS,
    "freshet_request_seconds_bucket": ANSWER_TIME,
}
_NAMES: Final = (_EVENTS, _REQUESTS, _LAG, _MODEL_AGE, _MODEL_LOADED, *_HISTOGRAMS)

Measured = Callable[[], dict[str, float]]
"""Returns values that this process does not measure by its metrics: the counter ``events``, the gauge ``lag``."""


def take_sample(now: float, measured: Measured = dict, registry: CollectorRegistry = REGISTRY) -> Sample:
    """The sample of this moment. What the process does not measure is left out."""
    found = [s for metric in registry.restricted_registry(_NAMES).collect() for s in metric.samples]
    counters = {**_counters(found), **_gauged(found)}
    values = measured()
    gauges: dict[str, float] = {name: counters.pop(name) for name in ("lag", "model_age") if name in counters}
    if "events" in values:
        counters["events"] = values["events"]
    if "lag" in values:
        gauges["lag"] = values["lag"]
    return Sample(now, counters, gauges, _buckets(found))


class FigureSampling:
    """Adds a sample to the history when the last one is old enough; called more often than that."""

    def __init__(self, history: FigureHistory, clock: Clock, measured: Measured = dict) -> None:
        self._history, self._clock, self._measured = history, clock, measured
        self._taken_at = float("-inf")

    def __call__(self) -> None:
        """Takes a sample, where one is due."""
        now = self._clock()
        if abs(now - self._taken_at) >= SAMPLE_SECONDS:
            self._taken_at = now
            self._history.add(take_sample(now, self._measured))


def _counters(found: Iterable[MetricSample]) -> dict[str, float]:
    counters: defaultdict[str, float] = defaultdict(float)
    for sample in found:
        outcome = sample.labels.get("outcome", "")
        if sample.name == _EVENTS:
            counters["events" if outcome == "accepted" else "rejected"] += sample.value
        if sample.name == _REQUESTS and sample.labels["route"] in _LISTS and outcome in {"ok", "degraded"}:
            counters["answers"] += sample.value
            counters["degraded"] += sample.value if outcome == "degraded" else 0.0
    return {"answers": 0.0, "degraded": 0.0, **counters}


def _gauged(found: Iterable[MetricSample]) -> dict[str, float]:
    lags = [sample.value for sample in found if sample.name == _LAG]
    values = {sample.name: sample.value for sample in found if sample.name in (_MODEL_AGE, _MODEL_LOADED)}
    gauges = {"lag": sum(lags)} if lags else {}
    return gauges | ({"model_age": values[_MODEL_AGE]} if values.get(_MODEL_LOADED) else {})


def _buckets(found: Iterable[MetricSample]) -> dict[str, dict[float, float]]:
    buckets: dict[str, dict[float, float]] = {}
    for sample in found:
        name = _HISTOGRAMS.get(sample.name)
        if name is None or sample.labels.get("route", "recommendations") not in _LISTS:
            continue
        of_histogram, bound = buckets.setdefault(name, {}), float(sample.labels["le"])
        of_histogram[bound] = of_histogram.get(bound, 0.0) + sample.value
    return buckets
