"""Click-through of items, whatever the ages of the first counts that are read."""

from __future__ import annotations

import numpy as np
import pytest

from serving.state.exposure import Exposure
from signals.kinds.exposure import HALF_LIFE

NOW = 1_795_428_000.0
AVERAGE = 41 / 220
"""Clicks over impressions of all items, shrunk by the prior of 20."""
CLICKED, SHOWN_ONLY = np.array([1], np.int32), np.array([2], np.int32)


def counts(at, **by_name):
    """Counts in log space of events at one time (seconds): ``counts(NOW, impression=100, click=20)``."""
    return {f"{name}:0": np.log2(number) + at / HALF_LIFE for name, number in by_name.items()}


@pytest.mark.parametrize("first", [{}, counts(0.0, impression=5), counts(-2_208_988_800.0, impression=9)])
def test_an_item_of_old_or_no_counts_that_is_read_first_changes_nothing_for_others(first):
    exposure = Exposure()
    exposure.put({0: exposure.read(first)})
    exposure.put({1: exposure.read(counts(NOW, impression=100, click=40))})
    exposure.put({2: exposure.read(counts(NOW, impression=100))})
    assert exposure.relative(CLICKED, NOW)[0] == pytest.approx((40 + 20 * AVERAGE) / 120 / AVERAGE, rel=1e-5)
    assert exposure.relative(SHOWN_ONLY, NOW)[0] == pytest.approx(20 / 120, rel=1e-5)


def test_without_counts_there_is_nothing_to_correct():
    exposure = Exposure()
    assert exposure.empty
    exposure.put({0: exposure.read(counts(NOW, impression=1))})
    assert not exposure.empty
