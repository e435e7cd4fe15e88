import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.data.drift import (
    DriftFigures,
    DriftThresholds,
    drift,
    gap,
    overlap,
    psi,
    psi_of_activity,
    psi_of_items,
    psi_of_kinds,
    score_change,
)

COUNTS = st.lists(st.integers(0, 1_000), min_size=2, max_size=12)


@given(COUNTS)
def test_what_has_not_changed_has_no_index(counts):
    assert psi(counts, [3 * count for count in counts]) == pytest.approx(0)


@given(COUNTS, st.data())
def test_an_index_is_never_negative_and_the_same_both_ways(counts, data):
    other = data.draw(st.lists(st.integers(0, 1_000), min_size=len(counts), max_size=len(counts)))
    assert psi(counts, other) >= 0
    assert psi(counts, other) == pytest.approx(psi(other, counts))


def test_an_index_is_as_defined():
    expected = (0.8 - 0.5) * math.log(0.8 / 0.5) + (0.2 - 0.5) * math.log(0.2 / 0.5)
    assert psi([5, 5], [8, 2]) == pytest.approx(expected)


def test_a_kind_of_event_that_is_new_is_a_shift():
    assert psi_of_kinds({"click": 10}, {"click": 10}) == 0
    assert psi_of_kinds({"click": 10}, {"click": 5, "purchase": 5}) > 1


def test_items_that_were_not_known_are_a_shift_and_the_same_items_are_none():
    known = {f"i{number}": 100.0 - number for number in range(50)}
    assert psi_of_items(known, known) == pytest.approx(0)
    assert psi_of_items(known, {f"new{number}": 1.0 for number in range(50)}) > 1
    assert psi_of_items({}, known) == 0


def test_people_who_do_ten_times_as_much_are_a_shift():
    counts = np.arange(1, 60)
    assert psi_of_activity(counts, counts) == 0
    assert psi_of_activity(counts, counts * 10) > 0.25


def test_the_same_list_overlaps_wholly_and_a_different_one_not_at_all():
    assert overlap("abcde", "abcde") == pytest.approx(1)
    assert overlap("abcde", "vwxyz") == 0
    assert overlap("", "") == 1
    assert overlap("", "abc") == 0


def test_a_change_at_the_top_matters_more_than_one_at_the_bottom():
    assert overlap("xbcde", "abcde") < overlap("abcdx", "abcde") < 1


def test_scores_that_are_only_scaled_have_not_changed():
    scores = np.random.default_rng(1).normal(size=(3, 20))
    assert score_change(scores, 7 * scores + 2) == pytest.approx(0)
    assert score_change(scores, -scores) > 1
    assert score_change(np.ones((2, 3)), np.ones((2, 3))) == 0


def test_a_gap_is_the_share_of_quality_that_is_lost():
    assert gap(0.4, 0.1) == pytest.approx(0.75)
    assert gap(0.1, 0.4) == 0
    assert gap(0.0, 0.1) == 0


def test_nothing_observed_is_no_reason():
    assert drift(DriftFigures()) == []


def test_each_threshold_that_is_crossed_is_a_reason_of_its_own():
    crossed = DriftFigures(items=0.3, types=0.3, activity=0.3, overlap=0.1, scores=0.9, gap=0.9, gap_before=0.7)
    reasons = drift(crossed)
    assert len(reasons) == 6
    assert "0.300 is above 0.25" in reasons[0]
    assert "from 0.700 to 0.900" in reasons[-1]
    tolerant = DriftThresholds(items=1, types=1, activity=1, overlap=0, scores=1, gap=1)
    assert drift(crossed, tolerant) == []
