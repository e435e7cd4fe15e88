"""Clusters of users: k-means over the directions of their factors, by ``scikit-learn``.

Lloyd, "Least Squares Quantization in PCM", 1982; Arthur, Vassilvitskii, "k-means++", SODA 2007.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from models.clusters import Clusters
from models.structures.arrays import Floats
from offline.data.dataset import Interactions
from offline.training.algorithm import Algorithm, Context, IntegerRange
from offline.training.factorization import ials
from offline.training.parameters import SEED, IalsParameters
from schemas.errors import ConfigurationInvalid

_MIB: Final = 2**20


@dataclass(frozen=True, kw_only=True)
class ClustersParameters:
    """Parameters of clusters. Raises ConfigurationInvalid for an invalid value."""

    clusters: int = 24
    """Number of clusters K, at most the number of users."""
    factors: int = 32
    """Dimension d of the user factors."""
    starts: int = 4
    """Number of k-means runs. The one with the least inertia is used."""
    seed: int = SEED

    def __post_init__(self) -> None:
        if self.clusters < 1 or self.factors < 1 or self.starts < 1:
            raise ConfigurationInvalid("clusters, their factors and starts must be above 0")


def train(interactions: Interactions, parameters: ClustersParameters | None = None, threads: int = 0) -> Clusters:
    """Trains factors by iALS, clusters the users' directions, and sums each cluster's interaction weights by item."""
    chosen = parameters or ClustersParameters()
    factors = ials.train(interactions, IalsParameters(factors=chosen.factors, seed=chosen.seed), threads)
    directions = _directions(factors.user_factors)
    solver = KMeans(min(chosen.clusters, len(directions)), n_init=chosen.starts, random_state=chosen.seed)
    # Sums by several threads differ in the last digits.
    with threadpool_limits(1):
        of_whom = solver.fit_predict(directions)
    people = np.arange(of_whom.size)
    members = sp.csr_matrix((np.ones(of_whom.size, np.float32), (of_whom, people)), (solver.n_clusters, of_whom.size))
    popularity = (members @ interactions.matrix).toarray()
    return Clusters(factors.without_users(), _directions(solver.cluster_centers_), popularity)


def needs_mib(interactions: Interactions, parameters: ClustersParameters) -> float:
    """Returns the memory of item popularity by cluster and of users' directions in double precision, in MiB."""
    users, items = interactions.matrix.shape
    return float(12 * parameters.clusters * items + 24 * parameters.factors * users) / _MIB


def _directions(vectors: Floats) -> Floats:
    """Returns the vectors scaled to length one. Zero stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions: Floats = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return directions


def _train(interactions: Interactions, parameters: ClustersParameters, context: Context) -> Clusters:
    return train(interactions, parameters, context.threads)


ALGORITHM: Final = Algorithm(
    name="clusters",
    about="what is popular with people of the same taste: k-means over factors",
    parameters=ClustersParameters,
    train=_train,
    space={"clusters": IntegerRange(2, 200, log=True), "factors": IntegerRange(8, 64, log=True)},
    needs_mib=needs_mib,
    kind=Clusters.kind,
)
