import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.structures.arrays import best, best_rows

FEW_VALUES = st.sampled_from([-np.inf, np.nan, -2.0, -0.5, 0.0, 0.25, 0.5, 7.0])


def sorted_best(row, count):
    finite = [place for place, score in enumerate(row.tolist()) if np.isfinite(score)]
    return sorted(finite, key=lambda place: (-row[place], place))[:count]


def chosen(scores, count):
    found = best_rows(scores, count)
    return [row[:length].tolist() for row, length in zip(found.positions, found.lengths, strict=True)]


@given(
    st.data(),
    st.integers(0, 4),
    st.integers(0, 400),
    st.integers(0, 9),
    st.sampled_from([FEW_VALUES, st.floats(-1, 1)]),
)
def test_the_best_of_many_rows_are_the_best_of_each(data, rows, width, count, values):
    values = values.filter(lambda value: not np.isnan(value))
    scores = data.draw(arrays(np.float32, (rows, width), elements=values.map(np.float32)))
    expected = [sorted_best(row, count) for row in scores]
    assert chosen(scores, count) == expected
    assert [best(row, count).tolist() for row in scores] == expected


@pytest.mark.parametrize("width", [10, 640, 1_000, 1_283])
def test_equal_scores_go_by_position_however_many_there_are(width):
    assert chosen(np.zeros((2, width), dtype=np.float32), 5) == [[0, 1, 2, 3, 4]] * 2


def test_a_row_with_too_few_finite_scores_has_a_shorter_list():
    scores = np.full((2, 1_000), -np.inf, dtype=np.float32)
    scores[0, [900, 3]] = 1.0, 2.0
    assert chosen(scores, 4) == [[3, 900], []]
