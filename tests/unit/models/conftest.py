"""Small values of every model. Each model in MODELS inherits the tests of ``test_every_model``."""

import numpy as np
import pytest

from models.als import Als
from models.blend import Blend
from models.clusters import Clusters
from models.content import Content
from models.ease import Ease
from models.hybrid import Hybrid
from models.neighbours import Neighbours
from models.popularity import Popularity
from models.ranker import Ranker
from models.sequential_rules import SequentialRules
from models.session_knn import SessionKnn, Voting
from models.structures.components import Component
from models.structures.factors import Factors
from models.structures.trees import Trees
from models.user_neighbours import UserNeighbours

ITEM_IDS = ("plain", "with/slash", "Überraschung", "数", "e\N{COMBINING ACUTE ACCENT}", "last")


def make_als():
    random = np.random.default_rng(7)
    users = tuple(f"u:{i}" for i in range(5))
    return Als(users, ITEM_IDS, random.normal(size=(5, 4)), random.normal(size=(6, 4)), regularization=0.3, alpha=2.0)


def make_popularity():
    return Popularity(ITEM_IDS, np.array([3, 5, 0, 5, 1, 2]))


def make_neighbours():
    indices = np.array([[1, 2], [0, 3], [0, -1], [1, -1], [-1, -1], [0, 1]])
    scores = np.array([[0.9, 0.5], [0.9, 0.25], [0.5, 0], [0.25, 0], [0, 0], [0.75, 0.125]])
    return Neighbours(ITEM_IDS, indices, scores)


def make_followers():
    neighbours = make_neighbours()
    return SequentialRules(ITEM_IDS, neighbours.indices, neighbours.scores, age=2.0, same=0.5)


def make_ease():
    indptr, indices = np.array([0, 2, 4, 4, 5, 6, 7]), np.array([1, 5, 0, 2, 1, 3, 0])
    return Ease(ITEM_IDS, indptr, indices, np.array([0.75, 0.5, 0.5, -0.125, 1.0, 0.5, 0.25]))


def make_blend():
    components = (Component("ease", make_ease()), Component("popularity", make_popularity()))
    return Blend(components, np.array([0.75, 0.25]))


def make_session_knn():
    indptr, items = np.array([0, 2, 5, 7]), np.array([0, 1, 1, 3, 2, 5, 1], dtype=np.int32)
    return SessionKnn.of(ITEM_IDS, indptr, items, np.array([10.0, 20.0, 20.0]), Voting(sample=2, neighbours=2))


def make_factors():
    random = np.random.default_rng(5)
    factors, biases, projection = random.normal(size=(6, 3)), random.normal(size=6), random.normal(size=(3, 3))
    return Factors(ITEM_IDS, factors, biases, projection, 0.5, False, ("u:0", "u:1"), random.normal(size=(2, 3)))


def make_user_neighbours():
    indptr, indices = np.array([0, 2, 5, 5, 6]), np.array([0, 1, 0, 1, 3, 5])
    rarities, lengths = np.array([1.0, 2.0, 1.0, 0.5, 1.0, 3.0]), np.array([2.0, 3.0, 1.0, 3.0])
    return UserNeighbours(ITEM_IDS, indptr, indices, rarities, lengths, width=2, shrinkage=1.0)


def make_content():
    terms = ("category:tea", "colour=red", "green", "tag:new")
    indptr, indices = np.array([0, 2, 3, 3, 5, 6, 7]), np.array([0, 2, 0, 1, 2, 3, 2])
    values = np.array([0.6, 0.8, 1.0, 0.8, 0.6, 1.0, 1.0])
    return Content(ITEM_IDS, terms, np.array([1.0, 2.0, 1.5, 2.0]), indptr, indices, values)


def make_clusters():
    popularity = np.array([[3, 5, 0, 0, 0, 0], [0, 1, 0, 2, 0, 7]])
    return Clusters(make_als().without_users(), np.eye(4)[:2], popularity)


def make_hybrid():
    random = np.random.default_rng(11)
    items, users = (random.normal(size=4), random.normal(size=(4, 4))), (random.normal(size=4), np.eye(4)[:2])
    cold = ("cold 1", "cold 2"), np.array([[0.5, 0, 0, 0], [3.0, 1, 0, 0]])
    return Hybrid(make_als(), make_content(), *items, ("age=25", "region=north"), *users, *cold)


def make_ranker():
    """Its one tree tells popular items (2) from others (-1); its blend tells nothing."""
    components = (Component("neighbours", make_neighbours()), Component("ease", make_ease()))
    ints, threshold = np.array([4, 0, 0]), np.array([np.log1p(2.5), 0, 0])
    trees = Trees(np.array([0]), ints, threshold, np.array([1, 1, 2]), np.array([2, 1, 2]), np.array([0, -1.0, 2]), 1)
    described = make_popularity().scores, np.zeros(6), np.array([0, 1, 1, 2, 2, 2, 2]), np.array([0, 0])
    return Ranker(components, *described, np.zeros(2), trees, depth=1)


MODELS = {
    "als": make_als,
    "popularity": make_popularity,
    "neighbours": make_neighbours,
    "followers": make_followers,
    "ease": make_ease,
    "blend": make_blend,
    "session-knn": make_session_knn,
    "clusters": make_clusters,
    "ranker": make_ranker,
    "content": make_content,
    "factors": make_factors,
    "hybrid": make_hybrid,
    "user_neighbours": make_user_neighbours,
}


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]()


@pytest.fixture
def others(model):
    return [made for make in MODELS.values() if type(made := make()) is not type(model)]


@pytest.fixture
def als():
    return make_als()


@pytest.fixture
def popularity():
    return make_popularity()


@pytest.fixture
def neighbours():
    return make_neighbours()


@pytest.fixture
def ease():
    return make_ease()


@pytest.fixture
def blend():
    return make_blend()


@pytest.fixture
def session_knn():
    return make_session_knn()


@pytest.fixture
def factors():
    return make_factors()


@pytest.fixture
def user_neighbours():
    return make_user_neighbours()


@pytest.fixture
def content():
    return make_content()


@pytest.fixture
def clusters():
    return make_clusters()


@pytest.fixture
def hybrid():
    return make_hybrid()


@pytest.fixture
def ranker():
    return make_ranker()
