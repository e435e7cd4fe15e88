"""Non-negative matrix factorization, by ``scikit-learn``.

Lee, Seung, "Learning the Parts of Objects by Non-negative Matrix Factorization", Nature 1999; solved by coordinate
descent (Cichocki, Phan, IEICE 2009).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from models.structures.factors import Factors
from offline.data.dataset import Interactions
from offline.training.algorithm import Algorithm, Context, FloatRange, IntegerRange
from offline.training.parameters import SEED
from schemas.errors import ConfigurationInvalid


@dataclass(frozen=True, kw_only=True)
class NmfParameters:
    """Parameters of NMF. Raises ConfigurationInvalid for an invalid value."""

    factors: int = 32
    """d."""
    regularization: float = 0.0
    """Penalty on the squared norms of both sides, each scaled by the size of the other as ``scikit-learn`` does."""
    iterations: int = 100
    seed: int = SEED

    def __post_init__(self) -> None:
        if self.factors < 1 or self.iterations < 1 or self.regularization < 0:
            raise ConfigurationInvalid("factors and iterations of NMF must be above 0 and regularization not below")


def train(interactions: Interactions, parameters: NmfParameters | None = None) -> Factors:
    """Returns item factors of the binary matrix. Users are folded in by a half step without a penalty."""
    chosen = parameters or NmfParameters()
    solver = NMF(
        min(chosen.factors, *interactions.matrix.shape),
        init="nndsvda",
        max_iter=chosen.iterations,
        tol=1e-4,
        random_state=chosen.seed,
        alpha_W=chosen.regularization,
        l1_ratio=0.0,
    )
    with threadpool_limits(1, user_api="blas"), _unconverged_is_fine():
        solver.fit(interactions.matrix.astype(bool).astype(np.float64))
    factors = solver.components_.T
    ridge = 1e-6 * np.trace(factors.T @ factors) / factors.shape[1]
    projection = np.linalg.inv(factors.T @ factors + max(ridge, 1e-12) * np.eye(factors.shape[1]))
    return Factors(interactions.item_ids, factors, np.zeros(len(factors), np.float32), projection, nonnegative=True)


@contextmanager
def _unconverged_is_fine() -> Iterator[None]:
    """Ignores the warning that ``iterations`` ended before convergence."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _train(interactions: Interactions, parameters: NmfParameters, _: Context) -> Factors:
    return train(interactions, parameters)


ALGORITHM: Final = Algorithm(
    name="nmf",
    about="non-negative matrix factorization of who took what, by the library scikit-learn",
    parameters=NmfParameters,
    train=_train,
    space={"factors": IntegerRange(8, 128, log=True), "regularization": FloatRange(1e-6, 1e-2)},
    kind=Factors.kind,
)
