import numpy as np
import pytest
import scipy.sparse as sp

from models.als import Als
from models.structures.lists import ScoredList
from offline.data.dataset import Interactions
from offline.training import lists, lists_spark
from schemas.offline.manifest import DataWindow

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(600)]


@pytest.fixture
def trained():
    random = np.random.default_rng(5)
    users, items = 300, 90
    matrix = sp.random(users, items, 0.1, format="csr", dtype=np.float32, random_state=5)
    user_ids = tuple(("\x1fa:" if row % 7 == 0 else "") + f"u{row:03}" for row in range(users))
    item_ids = tuple(f"i{column:02}" for column in range(items))
    interactions = Interactions(
        user_ids, item_ids, matrix, DataWindow(interactions=matrix.nnz, users=users, items=items), {}
    )
    factors = random.normal(size=(users, 8)), random.normal(size=(items, 8))
    return Als(user_ids, item_ids, *factors, regularization=0.1, alpha=1.0), interactions


def test_executors_make_the_same_lists_as_one_machine(spark, trained):
    als, interactions = trained
    expected = {user: ScoredList.load(data) for user, data in lists.user_lists(als, interactions, 12)}
    made = {user: ScoredList.load(data) for user, data in lists_spark.user_lists(spark, als, interactions, 12)}
    assert made.keys() == expected.keys()
    assert all(made[user].item_ids == expected[user].item_ids for user in expected)
    for user, one in expected.items():
        np.testing.assert_allclose(made[user].scores, one.scores, rtol=1e-5)
