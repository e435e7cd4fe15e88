"""User neighbours by their items: the shrunk cosine, plain or weighted by TF-IDF, or BM25.

Herlocker et al., "An Algorithmic Framework for Performing Collaborative Filtering", SIGIR 1999. A user is a document
and items are its terms, so that a popular item says less about similarity. Weights and times of interactions are
ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.user_neighbours import UserNeighbours
from offline.data.dataset import Interactions
from offline.training.algorithm import Algorithm, ChoiceRange, Context, FloatRange, IntegerRange
from offline.training.parameters import NeighbourParameters


@dataclass(frozen=True, kw_only=True)
class UserNeighbourParameters(NeighbourParameters):
    """Parameters as for item neighbours. ``width`` is the number of neighbour users. Raises ConfigurationInvalid."""

    width: int = 175
    weighting: str = "bm25"
    k1: float = 40.0
    b: float = 0.84


def train(interactions: Interactions, parameters: UserNeighbourParameters | None = None) -> UserNeighbours:
    """Returns the items of all users, with a weight for each item and a length for each user.

    ``cosine`` weights all items equally, ``tfidf`` by ``ln(1 + P / n_i)`` for n_i of P users. ``bm25`` is the product of
    such weights, where a neighbour with a long history has less weight, without a division by lengths.
    """
    chosen = parameters or UserNeighbourParameters()
    matrix = interactions.matrix
    rarities = _rarities(interactions, chosen)
    squares = matrix.astype(bool).astype(np.float64) @ rarities**2
    lengths, shrinkage = np.sqrt(squares), chosen.shrinkage
    if chosen.weighting == "bm25":
        lengths, shrinkage = _saturation(np.diff(matrix.indptr), chosen), 0.0
    # A user without items is never a neighbour, so any length is valid.
    lengths = np.where(lengths > 0, lengths, 1.0).astype(np.float32)
    return UserNeighbours(
        interactions.item_ids,
        matrix.indptr,
        matrix.indices,
        rarities.astype(np.float32),
        lengths,
        chosen.width,
        shrinkage,
    )


def _rarities(interactions: Interactions, parameters: UserNeighbourParameters) -> NDArray[np.float64]:
    people, items = interactions.matrix.shape
    if parameters.weighting == "cosine":
        return np.ones(items)
    takers = np.bincount(interactions.matrix.indices, minlength=items)
    rarities: NDArray[np.float64] = np.log1p(people / np.maximum(takers, 1))
    return rarities


def _saturation(taken: NDArray[np.int32], parameters: UserNeighbourParameters) -> NDArray[np.float64]:
    """Returns the divisor of each user's item weights."""
    length = 1 - parameters.b + parameters.b * taken / taken.mean()
    divided: NDArray[np.float64] = (parameters.k1 * length + 1) / (parameters.k1 + 1)
    return divided


def _train(interactions: Interactions, parameters: UserNeighbourParameters, _: Context) -> UserNeighbours:
    return train(interactions, parameters)


ALGORITHM: Final = Algorithm(
    name="user-knn",
    about="what the people took whose items are most like a person's",
    parameters=UserNeighbourParameters,
    train=_train,
    space={
        "width": IntegerRange(50, 1_000, log=True),
        "weighting": ChoiceRange(("cosine", "tfidf", "bm25")),
        "shrinkage": FloatRange(0.1, 200.0),
        "k1": FloatRange(0.1, 100.0),
        "b": FloatRange(0.0, 1.0, log=False),
    },
    kind=UserNeighbours.kind,
)
