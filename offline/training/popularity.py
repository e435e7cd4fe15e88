"""Popularity: the summed weights of each item's interactions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from models.popularity import Popularity
from offline.dataset import Interactions
from offline.training.algorithm import Algorithm, Context


@dataclass(frozen=True, kw_only=True)
class PopularityParameters:
    """Of popularity: none yet."""


def train(interactions: Interactions) -> Popularity:
    """One sum an item, in float64 and then float32."""
    sums = np.asarray(interactions.matrix.sum(axis=0, dtype=np.float64)).ravel()
    return Popularity(interactions.item_ids, sums.astype(np.float32))


def _train(interactions: Interactions, _: PopularityParameters, __: Context) -> Popularity:
    return train(interactions)


ALGORITHM: Final = Algorithm(
    name="popularity",
    about="the summed weights of each item's interactions: the baseline",
    parameters=PopularityParameters,
    train=_train,
    kind=Popularity.kind,
)
