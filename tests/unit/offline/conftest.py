"""Small interactions with two tastes, and the parts of a training job in a folder."""

import numpy as np
import pytest
import scipy.sparse as sp

from adapters.sqlite.models import SqliteModelStore
from offline.data.dataset import Interactions
from offline.engines.options import TrainingOptions
from offline.training.parameters import AlsParameters, IalsParameters
from schemas.offline.manifest import DataWindow

NOW = 1_700_000_000.0


def dense_interactions(matrix, guests=()):
    """Interactions of a dense matrix, users u00, u01, …, items i00, i01, …"""
    stored = sp.csr_matrix(np.asarray(matrix, dtype=np.float32))
    users, items = stored.shape
    user_ids = tuple(("\x1fa:" if row in guests else "") + f"u{row:02}" for row in range(users))
    window = DataWindow(interactions=int(stored.nnz), users=users, items=items)
    return Interactions(user_ids, tuple(f"i{column:02}" for column in range(items)), stored, window, {})


@pytest.fixture
def interactions_of():
    return dense_interactions


@pytest.fixture
def two_tastes():
    """Forty users; even ones like the first fifteen items, odd ones the other fifteen; each has met ten of them."""
    random = np.random.default_rng(3)
    matrix = np.zeros((40, 30))
    for user in range(40):
        matrix[user, random.choice(15, 10, replace=False) + 15 * (user % 2)] = random.choice([1.0, 2.0, 5.0], 10)
    return dense_interactions(matrix)


@pytest.fixture
def small():
    """Options that train in no time."""
    return TrainingOptions(
        ials=IalsParameters(factors=8, iterations=6),
        als=AlsParameters(factors=8, iterations=6),
        list_length=8,
        similar_length=5,
    )


@pytest.fixture
def store(tmp_path):
    """An embedded model store without a version."""
    store = SqliteModelStore(tmp_path)
    yield store
    store.close()


@pytest.fixture
def now():
    return NOW
