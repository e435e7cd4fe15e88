import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from offline.data.metadata import Metadata, category_matrix
from offline.evaluation.beyond_accuracy import SMOOTHING, gini, of_categories, of_lists
from schemas.catalogue import Item


def test_coverage_novelty_and_popularity_are_as_defined(interactions_of):
    training = interactions_of([[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 0], [1, 0, 0, 1]])
    tops = np.array([[0, 1], [0, -1]])
    found = of_lists(tops, training, 2)
    assert found["coverage@2"] == 0.5
    assert found["popularity@2"] == pytest.approx(((1 + 0.25) / 2 + 1) / 2)
    assert found["novelty@2"] == pytest.approx(((0 + 2) / 2 + 0) / 2)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=20))
def test_gini_is_the_mean_difference_of_all_pairs(counts):
    total = sum(counts)
    pairs = sum(abs(one - other) for one in counts for other in counts)
    expected = pairs / (2 * len(counts) * total) if total else 0.0
    assert gini(np.array(counts)) == pytest.approx(expected, abs=1e-12)


def test_diversity_is_one_minus_the_mean_overlap_of_pairs():
    categories = sp.csr_matrix(np.array([[1, 0], [1, 1], [0, 1]], dtype=float))
    asked = sp.csr_matrix(np.array([[1.0, 0, 0]]))
    found = of_categories(np.array([[0, 1, 2]]), categories, asked, 3)
    assert found["diversity@3"] == pytest.approx(1 - (0.5 + 0 + 0.5) / 3)


def test_a_list_like_the_history_is_calibrated_and_another_one_is_not():
    categories = sp.csr_matrix(np.eye(2))
    asked = sp.csr_matrix(np.array([[1.0, 1.0]]))
    like = of_categories(np.array([[0, 1]]), categories, asked, 2)["miscalibration@2"]
    one_sided = of_categories(np.array([[0, -1]]), categories, asked, 2)["miscalibration@2"]
    shown = [1 - SMOOTHING + SMOOTHING / 2, SMOOTHING / 2]
    assert like == pytest.approx(0)
    assert one_sided == pytest.approx(sum(0.5 * math.log(0.5 / q) for q in shown))


def test_people_and_lists_without_categories_are_left_out():
    categories = sp.csr_matrix(np.array([[1.0], [0.0]]))
    asked = sp.csr_matrix(np.array([[0.0, 1.0], [1.0, 0.0]]))
    found = of_categories(np.array([[0, 1], [0, -1]]), categories, asked, 2)
    assert found["miscalibration@2"] == pytest.approx(0)
    assert of_categories(np.array([[-1, -1]]), categories, asked[:1], 2) == {}


def test_categories_come_from_facts():
    metadata = Metadata({"a": Item(item_id="a", categories=("x", "y")), "c": Item(item_id="c", categories=("y",))}, {})
    assert category_matrix(metadata, ("a", "b", "c")).toarray().tolist() == [[1, 1], [0, 0], [0, 1]]
    assert category_matrix(Metadata(), ("a",)) is None
