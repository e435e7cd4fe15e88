"""Item neighbours by the cosine of who interacted with them, shrunk where few did."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import scipy.sparse as sp

from models.neighbours import Neighbours
from offline.archive import Progress, quiet
from offline.dataset import Interactions
from offline.training.algorithm import Algorithm, Context, Floats, Integers
from offline.training.parameters import NeighbourParameters

_BLOCK: Final = 256
Row = tuple[np.ndarray[Any, np.dtype[np.intp]], np.ndarray[Any, np.dtype[np.float32]]]


def train(
    interactions: Interactions, parameters: NeighbourParameters | None = None, progress: Progress = quiet
) -> Neighbours:
    """Each item's nearest by ``n_ij / (sqrt(n_i n_j) + shrinkage)``: n_i people with i, n_ij with both.

    Symmetric, and blind to weights and times. Sarwar et al., WWW 2001; the shrinkage is Bell and Koren's, KDD 2007.
    """
    chosen = parameters or NeighbourParameters()
    who = interactions.matrix.astype(bool).astype(np.float32).tocsc()
    people, count = np.diff(who.indptr).astype(np.float32), who.shape[1]
    indices = np.full((count, chosen.width), -1, dtype=np.int32)
    scores = np.zeros((count, chosen.width), dtype=np.float32)
    for start in range(0, count, _BLOCK):
        progress("training neighbours", start, count)
        common = (who[:, start : start + _BLOCK].T @ who).tocsr()
        for offset in range(common.shape[0]):
            near, similarity = _nearest(common, offset, start + offset, people, chosen)
            indices[start + offset, : near.size], scores[start + offset, : near.size] = near, similarity
    return Neighbours(interactions.item_ids, indices, scores)


def _nearest(
    common: sp.csr_matrix,
    row: int,
    item: int,
    people: np.ndarray[Any, np.dtype[np.float32]],
    parameters: NeighbourParameters,
) -> Row:
    """One item's neighbours, best first, ties by position."""
    place = slice(common.indptr[row], common.indptr[row + 1])
    others, both = common.indices[place], common.data[place]
    others, both = others[others != item], both[others != item]
    similarity = (both / (np.sqrt(people[item] * people[others]) + parameters.shrinkage)).astype(np.float32)
    best = np.lexsort((others, -similarity))[: parameters.width]
    return others[best], similarity[best]


def _train(interactions: Interactions, parameters: NeighbourParameters, context: Context) -> Neighbours:
    return train(interactions, parameters, context.progress)


ALGORITHM: Final = Algorithm(
    name="neighbours",
    about="item neighbours by the shrunk cosine of who interacted with them",
    parameters=NeighbourParameters,
    train=_train,
    space={"width": Integers(16, 256, log=True), "shrinkage": Floats(0.1, 200.0)},
    kind=Neighbours.kind,
)
