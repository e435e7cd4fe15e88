"""``ease``: all items scored by a linear autoencoder from what the person did, the newest most."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats, Ints
from models.ease import Ease
from serving.bundle import Placed
from serving.scene import NOTHING, Part, Scene, best_allowed, supported


class _Interests(NamedTuple):
    """The strongest interests that the model knows: positions, the model's rows and weights, (n,) each."""

    positions: Ints
    rows: NDArray[np.intp]
    weights: Floats


def candidates(scene: Scene) -> Part:
    """The best by the sum of the interests' weights."""
    model = scene.models.ease
    if model is None:
        return NOTHING
    known = _interests(scene, model)
    if not known.rows.size:
        return NOTHING
    scores = model.value.score_rows(known.rows, known.weights)
    near = (scores > 0).nonzero()[0]
    chosen = near[best_allowed(scene, model.items[near], scores[near])]
    told = supported(scores[chosen], scene.config.ease_support)
    return Part(model.items[chosen], told, partial(_spoken, model, known))


def _spoken(model: Placed[Ease], known: _Interests, items: Ints) -> Ints:
    """For each of these candidates the interest that speaks for it most; shape (C,)."""
    spoken = model.value.contributions_of(known.rows, known.weights, model.rows[items])
    leading: Ints = known.positions[spoken.argmax(axis=0)]
    return leading


def _interests(scene: Scene, model: Placed[Ease]) -> _Interests:
    interests, count = scene.profile.weights, min(scene.config.ease_interests, len(scene.profile.weights))
    positions = np.fromiter(interests, np.int32, count)
    weights = np.fromiter(interests.values(), np.float32, count)
    placed = (positions < model.rows.size).nonzero()[0]
    rows = model.rows[positions[placed]]
    known = (rows >= 0).nonzero()[0]
    chosen = placed[known]
    return _Interests(positions[chosen], rows[known].astype(np.intp), weights[chosen])
