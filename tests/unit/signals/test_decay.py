"""Decayed counts in log space, compared with plain sums."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals.decay import NOTHING, log_add, log_subtract, value_at
from signals.kinds.popularity import HALF_LIVES

YEAR_1997 = datetime(1997, 1, 1, tzinfo=UTC).timestamp()
TODAY = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
HOUR = 3_600.0

times = st.floats(YEAR_1997, TODAY)
half_lives = st.sampled_from(HALF_LIVES)
recent = st.floats(0, 60)


def one_event(at: float, half_life: float, weight: float = 1.0) -> float:
    return at / half_life + math.log2(weight)


def counted(ats: list[float], half_life: float) -> float:
    count = NOTHING
    for at in ats:
        count = log_add(count, one_event(at, half_life))
    return count


@pytest.mark.parametrize("now", [YEAR_1997, TODAY])
@pytest.mark.parametrize("half_life", HALF_LIVES)
@given(ages=st.lists(recent, min_size=1, max_size=30))
def test_a_count_is_worth_the_sum_of_its_halved_events(now, half_life, ages):
    direct = math.fsum(2.0**-age for age in ages)
    count = counted([now - age * half_life for age in ages], half_life)
    assert value_at(count, half_life, now) == pytest.approx(direct, rel=1e-9)


@given(st.lists(times, min_size=2, max_size=20), half_lives)
def test_events_of_1997_and_of_today_stand_in_one_count_in_any_order(ats, half_life):
    newest = max(ats)
    direct = newest / half_life + math.log2(math.fsum(2.0 ** ((at - newest) / half_life) for at in ats))
    for order in (ats, sorted(ats), sorted(ats, reverse=True)):
        assert counted(order, half_life) == pytest.approx(direct, abs=1e-8)


@given(times, half_lives)
def test_one_event_is_worth_one_then_a_half_then_a_quarter(at, half_life):
    count = one_event(at, half_life)
    worth = [value_at(count, half_life, at + n * half_life) for n in range(3)]
    assert worth == pytest.approx([1.0, 0.5, 0.25], rel=1e-9)


def test_old_counts_fade_to_nothing_without_failing_and_late_ones_do_not_overflow():
    assert value_at(one_event(YEAR_1997, HOUR), HOUR, TODAY) == 0.0
    assert math.isfinite(value_at(one_event(TODAY, HOUR), HOUR, YEAR_1997))
    assert value_at(NOTHING, HOUR, TODAY) == 0.0


@given(times, st.floats(0, 20), half_lives)
def test_what_was_added_can_be_taken_away(at, age, half_life):
    old, new = one_event(at - age * half_life, half_life), one_event(at, half_life)
    both = log_add(old, new)
    assert log_subtract(both, new) == pytest.approx(old, abs=1e-3)
    assert log_subtract(both, old) == pytest.approx(new, abs=1e-3)


@given(times, half_lives)
def test_taking_away_all_or_more_leaves_nothing(at, half_life):
    count = one_event(at, half_life)
    assert log_subtract(count, count) == NOTHING
    assert log_subtract(count, count + 1) == NOTHING
    assert log_subtract(NOTHING, count) == NOTHING
    assert log_subtract(count, NOTHING) == count
    assert log_add(NOTHING, NOTHING) == NOTHING


@given(times, st.floats(0.01, 100), half_lives)
def test_a_weight_multiplies(at, weight, half_life):
    assert value_at(one_event(at, half_life, weight), half_life, at) == pytest.approx(weight, rel=1e-8)
