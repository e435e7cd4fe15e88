"""The figures over time: rates, quantiles and what is kept of them."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.console.figures import FigureHistory, Sample, figures_between, quantile

INF = float("inf")


def sample(at, events=0.0, answers=0.0, degraded=0.0, **gauges):
    return Sample(at, {"events": events, "answers": answers, "degraded": degraded}, gauges)


def test_a_rate_is_the_growth_of_a_counter_over_the_time_between():
    figures = figures_between(sample(0, events=10), sample(5, events=60))
    assert figures["events_per_second"] == 10


def test_the_rate_of_a_counter_that_began_anew_is_not_known():
    assert figures_between(sample(0, events=10), sample(5, events=3))["events_per_second"] is None


def test_the_degraded_share_is_of_the_answers_of_that_time():
    assert (
        figures_between(sample(0, answers=10, degraded=5), sample(5, answers=20, degraded=6))["degraded_share"] == 0.1
    )


def test_without_answers_there_is_no_degraded_share():
    assert figures_between(sample(0, answers=10), sample(5, answers=10))["degraded_share"] is None


def test_gauges_are_as_they_were_at_the_end():
    assert figures_between(sample(0, lag=9.0), sample(5, lag=2.0))["lag"] == 2


def test_quantiles_count_the_observations_between_the_samples_alone():
    before = sample(0)._replace(buckets={"freshness": {0.1: 100.0, 1.0: 100.0, INF: 100.0}})
    after = sample(5)._replace(buckets={"freshness": {0.1: 100.0, 1.0: 110.0, INF: 110.0}})
    assert 0.1 < figures_between(before, after)["freshness_p50"] <= 1.0


@given(st.lists(st.floats(0.0, 20.0), min_size=1, max_size=60), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_quantile_lies_in_the_bucket_of_the_exact_one(values, share):
    bounds = [0.5, 1.0, 2.0, 5.0, 10.0, INF]
    counts = {bound: float(sum(value <= bound for value in values)) for bound in bounds}
    exact = sorted(values)[math.ceil(share * len(values)) - 1]
    bucket = next(index for index, bound in enumerate(bounds) if exact <= bound)
    lower = bounds[bucket - 1] if bucket else 0.0
    estimate = quantile(counts, share)
    assert estimate is not None
    assert lower <= estimate <= (bounds[bucket] if bounds[bucket] < INF else lower)


def test_there_is_no_quantile_without_observations():
    assert quantile({0.1: 0.0, INF: 0.0}, 0.5) is None
    assert quantile({}, 0.5) is None


def test_a_longer_range_is_read_from_samples_that_lie_further_apart():
    history = FigureHistory(levels=((5.0, 12), (60.0, 10)))
    for second in range(0, 601, 5):
        history.add(sample(float(second), events=second * 2.0))
    recent, longer = history.points(600, 60), history.points(600, 600)
    assert [point.at for point in recent][-2:] == [595, 600]
    assert {after.at - before.at for before, after in pairwise(longer)} == {60}
    assert all(point.figures["events_per_second"] == 2 for point in [*recent, *longer])


@pytest.mark.parametrize("seconds", [900, 3_600, 86_400, 604_800])
def test_no_range_has_more_points_than_a_chart_can_show(seconds):
    history = FigureHistory()
    for second in range(0, 700_000, 60):
        history.add(sample(float(second)))
    assert 0 < len(history.points(700_000, seconds)) <= 400
