"""PureSVD: truncated singular value decomposition of the interaction matrix, by ``scipy``.

Cremonesi, Koren, Turrin, "Performance of Recommender Algorithms on Top-N Recommendation Tasks", RecSys 2010; columns
scaled by popularity as in Nikolakopoulos et al., "EigenRec: Generalizing PureSVD for Effective and Efficient Top-N
Recommendations", KAIS 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

from models.structures.arrays import Floats as Array
from models.structures.factors import Factors
from offline.data.dataset import Interactions
from offline.training.algorithm import Algorithm, Context, FloatRange, IntegerRange
from schemas.errors import ConfigurationInvalid


@dataclass(frozen=True, kw_only=True)
class SvdParameters:
    """Parameters of PureSVD. Raises ConfigurationInvalid for an invalid value."""

    factors: int = 64
    """d, at most the rank that the matrix allows."""
    scaling: float = 0.3
    """The column of an item with n users has length n^(scaling / 2). 1 is PureSVD; less gives rare items more influence."""

    def __post_init__(self) -> None:
        if self.factors < 1:
            raise ConfigurationInvalid("factors of an SVD must be above 0")


def train(interactions: Interactions, parameters: SvdParameters | None = None) -> Factors:
    """Returns the right singular vectors V of the binary matrix. The scores of a history h are h·V·Vᵀ, without user factors."""
    chosen = parameters or SvdParameters()
    with threadpool_limits(1, user_api="blas"):
        factors = _right(_scaled(interactions.matrix, chosen.scaling), chosen.factors)
    return Factors(
        interactions.item_ids, factors, np.zeros(len(factors), np.float32), np.eye(factors.shape[1], dtype=np.float32)
    )


def _scaled(matrix: sp.csr_matrix, scaling: float) -> sp.csr_matrix:
    takers = np.maximum(np.bincount(matrix.indices, minlength=matrix.shape[1]), 1)
    values = takers[matrix.indices] ** ((scaling - 1) / 2)
    return sp.csr_matrix((values, matrix.indices, matrix.indptr), shape=matrix.shape)


def _right(matrix: sp.csr_matrix, factors: int) -> Array:
    """Returns the right singular vectors of the largest singular values, in descending order, shape (I, d)."""
    if factors >= min(matrix.shape):  # more than Lanczos can find
        return np.linalg.svd(matrix.toarray(), full_matrices=False)[2][:factors].T
    begun = np.ones(min(matrix.shape))
    vectors: Array = svds(matrix, factors, v0=begun, return_singular_vectors="vh")[2][::-1].T
    return vectors


def _train(interactions: Interactions, parameters: SvdParameters, _: Context) -> Factors:
    return train(interactions, parameters)


ALGORITHM: Final = Algorithm(
    name="svd",
    about="PureSVD: a truncated singular value decomposition of who took what",
    parameters=SvdParameters,
    train=_train,
    space={"factors": IntegerRange(8, 256, log=True), "scaling": FloatRange(-0.5, 1.5, log=False)},
    kind=Factors.kind,
)
