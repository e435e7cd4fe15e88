"""An algorithm of a site's own: two items are similar if the same users had both within a short time.

One file. It declares ``ALGORITHM``, and `FRESHET_PLUGINS` names the module. The value that it returns is one of
Freshet's own (``models.neighbours``), so serving needs nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.neighbours import Neighbours
from offline.data.dataset import Interactions
from offline.training.algorithm import Algorithm, Context, FloatRange

DAY = 86_400.0


@dataclass(frozen=True, kw_only=True)
class CloseInTimeParameters:
    """Parameters of the algorithm; `FRESHET_PARAMETERS` can change them."""

    half_life_days: float = 14.0
    """A pair of interactions counts half if this many days lie between them."""
    width: int = 20
    """Similar items kept for each item."""


def train(interactions: Interactions, parameters: CloseInTimeParameters, _: Context) -> Neighbours:
    """Returns each item's most similar items: the sum over users of 0.5 ** (days apart / half_life_days)."""
    matrix, n_items = interactions.matrix, len(interactions.item_ids)
    times = np.zeros(matrix.nnz) if interactions.times is None else interactions.times
    similarity = np.zeros((n_items, n_items), np.float32)
    for start, end in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        items, days = matrix.indices[start:end], times[start:end] / DAY
        days_apart = np.abs(days[:, None] - days[None, :])
        similarity[np.ix_(items, items)] += np.exp2(-days_apart / parameters.half_life_days)
    np.fill_diagonal(similarity, 0)
    best = np.argsort(-similarity, axis=1, kind="stable")[:, : parameters.width].astype(np.int32)
    scores = np.take_along_axis(similarity, best, axis=1)
    best[scores == 0] = -1
    return Neighbours(interactions.item_ids, best, scores)


ALGORITHM = Algorithm(
    name="close-in-time",
    about="items that the same users had within a short time of each other",
    parameters=CloseInTimeParameters,
    train=train,
    space={"half_life_days": FloatRange(1.0, 100.0)},
    kind=Neighbours.kind,
)
