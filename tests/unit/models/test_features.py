import numpy as np
import pytest

from models.features import ItemFeatures, RankingQuery, features, names

DAY = 86_400.0


@pytest.fixture
def described():
    """Four items: 0 and 1 of category 0, item 2 of both, item 3 of none."""
    starts, categories = np.array([0, 1, 2, 4, 4]), np.array([0, 0, 0, 1], dtype=np.int32)
    return ItemFeatures(np.array([1, 3, 7, 0], np.float32), np.array([0.0, DAY, 2 * DAY, 9 * DAY]), starts, categories)


def told(described, history=(0, 2), now=3 * DAY):
    standards = np.array([[0.5, 2.0, -1.0], [1.0, 1.0, 3.0]], dtype=np.float32)
    candidates = np.array([1, 2, 3], dtype=np.int32)
    found = features(RankingQuery(np.array(history, dtype=np.int32), now), candidates, standards, described)
    return dict(zip(names(("a", "b")), found.T.tolist(), strict=True))


def test_each_component_says_a_score_and_a_rank_among_the_candidates(described):
    found = told(described)
    assert found["a: standard score"] == [0.5, 2.0, -1.0]
    assert found["a: log rank"] == pytest.approx(np.log1p([1, 0, 2]))
    assert found["b: log rank"] == pytest.approx(np.log1p([1, 2, 0]))


def test_an_item_says_how_popular_and_how_old_it_is(described):
    found = told(described)
    assert found["log popularity"] == pytest.approx(np.log1p([3, 7, 0]))
    assert found["log days since the first interaction"] == pytest.approx(np.log1p([2, 1, 0]))


def test_a_history_says_how_long_it_is_and_how_much_of_it_is_of_an_items_categories(described):
    found = told(described)
    assert found["log history"] == pytest.approx([np.log1p(2)] * 3)
    assert found["shared categories"] == [1.0, (1.0 + 0.5) / 2, 0.0]


def test_an_empty_history_and_unknown_categories_are_zeros(described):
    bare = described._replace(category_starts=np.zeros(5, np.int64), categories=np.empty(0, np.int32))
    found = told(bare, history=(), now=0.0)
    assert found["shared categories"] == found["log history"] == [0.0] * 3
