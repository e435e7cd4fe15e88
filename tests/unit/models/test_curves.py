from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.source_weights import CURVES, SourceWeight, SourceWeights, curves

SCORES = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20)


@given(SCORES)
def test_every_curve_begins_at_0_ends_at_1_and_never_falls(scores):
    rising = np.array([0.0, *sorted(scores), 1.0], np.float32)
    for curve in curves(rising):
        assert curve[0] == 0
        assert curve[-1] == pytest.approx(1, abs=1e-6)
        assert (np.diff(curve) >= -1e-6).all()


@given(st.floats(0, 1, width=32))
def test_a_curve_is_what_its_name_says(score):
    found = SourceWeight(*curves(np.array([score], np.float32))[:, 0].tolist())
    assert found.linear == score
    assert found.root == pytest.approx(math.sqrt(score), abs=1e-6)
    assert found.logarithm == pytest.approx(math.log1p(1_000 * score) / math.log(1_001), abs=1e-5)
    assert found.cube == pytest.approx(score**3, abs=1e-6)


def test_weights_stored_under_former_names_of_sources_are_read_under_those_of_today():
    stored = SourceWeights(("next", "similar"), np.array([], np.int32), np.ones((1, 2, CURVES), np.float32)).save()
    assert SourceWeights.load(stored).sources == ("covisitation", "similar")
