"""Bayesian personalized ranking of pairs, an item of the history above another one, by ``implicit``.

Rendle, Freudenthaler, Gantner, Schmidt-Thieme, "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from implicit.cpu.bpr import BayesianPersonalizedRanking
from threadpoolctl import threadpool_limits

from models.structures.arrays import Floats as Array
from models.structures.factors import Factors
from offline.data.archive import Progress, quiet
from offline.data.dataset import Interactions
from offline.training.algorithm import Algorithm, Context, FloatRange, IntegerRange
from offline.training.parameters import SEED
from schemas.errors import ConfigurationInvalid

_SHARE: Final = 0.5
"""A user's vector grows with the square root of the history length, as trained ones nearly do."""


@dataclass(frozen=True, kw_only=True)
class BprParameters:
    """Parameters of BPR. Raises ConfigurationInvalid for an invalid value."""

    factors: int = 64
    """d."""
    learning_rate: float = 0.05
    regularization: float = 0.01
    iterations: int = 100
    """Each iteration draws as many pairs as there are interactions."""
    seed: int = SEED

    def __post_init__(self) -> None:
        if self.factors < 1 or self.iterations < 1 or self.learning_rate <= 0 or self.regularization < 0:
            raise ConfigurationInvalid(
                "factors, iterations and learning_rate of BPR must be above 0 and regularization not below"
            )


def train(interactions: Interactions, parameters: BprParameters | None = None, progress: Progress = quiet) -> Factors:
    """Returns factors by stochastic gradient descent, in one thread so that a seed gives one model.

    A new user is folded in by a linear map from the sum of the history's item factors to user factors. It is fitted
    over all users by ridge regression.
    """
    chosen = parameters or BprParameters()
    solver = BayesianPersonalizedRanking(
        factors=chosen.factors,
        learning_rate=chosen.learning_rate,
        regularization=chosen.regularization,
        iterations=chosen.iterations,
        num_threads=1,
        random_state=chosen.seed,
    )
    with threadpool_limits(1, user_api="blas"):
        solver.fit(
            interactions.matrix,
            show_progress=False,
            callback=lambda done, *_: progress("training bpr", done + 1, chosen.iterations),
        )
        # The last column is the item bias, and 1 for every user.
        users, items = np.asarray(solver.user_factors)[:, :-1], np.asarray(solver.item_factors)
        projection = _projection(interactions, users, items[:, :-1])
    return Factors(
        interactions.item_ids,
        items[:, :-1],
        items[:, -1],
        projection,
        _SHARE,
        user_ids=interactions.user_ids,
        user_factors=users,
    )


def _projection(interactions: Interactions, users: Array, items: Array) -> Array:
    """Returns M (d, d): the least squares fit of the trained user factors by the sums of their item factors."""
    had = interactions.matrix.astype(bool).astype(np.float64)
    counts = np.maximum(np.diff(had.indptr), 1)[:, None]
    sums = (had @ items.astype(np.float64)) / counts**_SHARE
    gram = sums.T @ sums
    ridge = 1e-3 * np.trace(gram) / len(gram) + np.finfo(float).tiny
    projection: Array = np.linalg.solve(gram + ridge * np.eye(len(gram)), sums.T @ users).astype(np.float32)
    return projection


def _train(interactions: Interactions, parameters: BprParameters, context: Context) -> Factors:
    return train(interactions, parameters, context.progress)


ALGORITHM: Final = Algorithm(
    name="bpr",
    about="Bayesian personalized ranking of pairs of items, by the library implicit",
    parameters=BprParameters,
    train=_train,
    space={
        "factors": IntegerRange(16, 128, log=True),
        "learning_rate": FloatRange(0.005, 0.2),
        "regularization": FloatRange(0.0005, 0.1),
        "iterations": IntegerRange(20, 150, log=True),
    },
    kind=Factors.kind,
)
