"""Predicted ratings: biases of items and people by damped alternating means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.ratings import Ratings

DAMPING = 5.0
"""Number of virtual ratings without a deviation for each item and person."""
_ROUNDS = 5
"""On ml-100k, the error no longer changes in the fourth digit after this many rounds."""


def train(
    people: NDArray[np.int32], items: NDArray[np.int32], stars: NDArray[np.float64], item_ids: Sequence[str]
) -> Ratings:
    """Returns the model of N ≥ 1 ratings: codes of people and items, and stars, shape (N,) each."""
    mean = float(stars.mean())
    person_bias = np.zeros(int(people.max()) + 1)
    item_bias = np.zeros(len(item_ids))
    for _ in range(_ROUNDS):
        item_bias = _damped(stars - mean - person_bias[people], items, item_bias.size)
        person_bias = _damped(stars - mean - item_bias[items], people, person_bias.size)
    bounds = float(stars.min()), float(stars.max())
    return Ratings(tuple(item_ids), item_bias.astype(np.float32), mean, DAMPING, *bounds)


def _damped(deviations: NDArray[np.float64], codes: NDArray[np.int32], size: int) -> NDArray[np.float64]:
    """Returns the mean deviation of each code, damped towards zero, shape (size,)."""
    sums = np.bincount(codes, deviations, size)
    return sums / (np.bincount(codes, minlength=size) + DAMPING)
