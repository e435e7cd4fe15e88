"""The figures of the console over time: rates, quantiles and gauges, from samples of this process's metrics. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

FRESHNESS: Final = "freshness"
ANSWER_TIME: Final = "answer_time"
"""Names of histograms in a sample."""

SAMPLE_SECONDS: Final = 5.0
"""Time between two samples."""
LEVELS: Final = ((SAMPLE_SECONDS, 740), (60.0, 1_460), (600.0, 1_020))
"""Seconds between samples, and the number of samples kept: an hour, a day and a week."""
_MOST_POINTS: Final = 400
_EARLY: Final = 0.5
"""A sample may come so much too early, because a pause is never exact."""


class Sample(NamedTuple):
    """The metrics of one moment. Counters and buckets only grow while the process runs."""

    at: float
    counters: Mapping[str, float]
    gauges: Mapping[str, float]
    buckets: Mapping[str, Mapping[float, float]] = {}
    """Of each histogram, by upper bound in seconds, the number of observations up to it."""


class Point(NamedTuple):
    """The figures of the time between two samples. None: not known for this time."""

    at: float
    figures: dict[str, float | None]


class FigureHistory:
    """Keeps samples of the last hour, day and week, each more widely spaced. One thread at a time may call."""

    def __init__(self, levels: Sequence[tuple[float, int]] = LEVELS) -> None:
        self._levels = [(seconds, deque[Sample](maxlen=size)) for seconds, size in levels]

    def add(self, sample: Sample) -> None:
        """Keeps a sample at each level whose last one is old enough."""
        for seconds, samples in self._levels:
            if not samples or sample.at - samples[-1].at >= seconds - _EARLY:
                samples.append(sample)

    def points(self, now: float, seconds: float) -> list[Point]:
        """The figures of the last ``seconds``, oldest first, at the finest level that reaches so far; at most 400 points."""
        since = now - seconds
        samples = self._samples(seconds)
        wanted = [sample for sample in samples if sample.at >= since]
        step = max(1, -(-len(wanted) // _MOST_POINTS))
        # Counted from the newest, so that the last point is always of now.
        thinned = wanted[::-1][::step][::-1]
        return [Point(after.at, figures_between(before, after)) for before, after in pairwise(thinned)]

    def _samples(self, seconds: float) -> deque[Sample]:
        for spacing, samples in self._levels:
            if spacing * (samples.maxlen or 0) >= seconds:
                return samples
        return self._levels[-1][1]


def figures_between(before: Sample, after: Sample) -> dict[str, float | None]:
    """The figures of the time between two samples. A counter that fell was begun anew, so its rate is not known."""
    elapsed = after.at - before.at
    grown = {name: growth(before.counters, after.counters, name) for name in after.counters}
    answers, degraded = grown.get("answers"), grown.get("degraded")
    figures: dict[str, float | None] = {
        f"{name}_per_second": None if count is None or elapsed <= 0 else count / elapsed
        for name, count in grown.items()
    }
    figures["degraded_share"] = None if not answers or degraded is None else degraded / answers
    for name in after.buckets:
        counts = _bucket_growth(before.buckets.get(name, {}), after.buckets[name])
        figures[f"{name}_p50"], figures[f"{name}_p99"] = quantile(counts, 0.5), quantile(counts, 0.99)
    return figures | dict(after.gauges)


def growth(before: Mapping[str, float], after: Mapping[str, float], name: str) -> float | None:
    """By how much a counter grew; None if it fell, or was not there before."""
    if name not in before or after[name] < before[name]:
        return None
    return after[name] - before[name]


def quantile(counts: Mapping[float, float], share: float) -> float | None:
    """The value below which this share of the observations lies, as Prometheus estimates it from cumulative buckets.

    None without observations. In the last bucket, which has no end, it is the end of the one before.
    """
    bounds = sorted(counts)
    total = counts[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return None
    rank, lower, below = share * total, 0.0, 0.0
    for bound in bounds:
        if counts[bound] >= rank and counts[bound] > below:
            if bound == float("inf"):
                return lower
            return lower + (bound - lower) * (rank - below) / (counts[bound] - below)
        lower, below = bound, counts[bound]
    return lower


def _bucket_growth(before: Mapping[float, float], after: Mapping[float, float]) -> dict[float, float]:
    return {bound: max(0.0, count - before.get(bound, 0.0)) for bound, count in after.items()}
