"""``fold_in``: all items scored by factors that know what the person did last.

The trained factors and those of one half step over the newest weighted events are mixed by how much has
happened since training (see ``Scene.fresh_share``).
"""

from __future__ import annotations

import numpy as np

from models.als import Als
from models.arrays import Floats, Ints, best
from serving.scene import NOBODY, NOTHING, Part, Scene, part, scaled


def vector(scene: Scene) -> Floats | None:
    """The person's factors now, shape (d,); None where there is no model or nothing is known of the person."""
    als = scene.models.als
    if als is None:
        return None
    trained = als.vector(scene.asked.user_id) if scene.asked.user_id is not None else None
    weights = _weights(scene)
    share = scene.fresh_share
    if trained is not None and (share == 0.0 or not weights):
        return trained
    if not weights:
        return None
    folded = als.fold_in(weights)
    return folded if trained is None else (1.0 - share) * trained + share * folded


def candidates(scene: Scene) -> Part:
    """The best items by the person's factors now; none where the stored list already says the same."""
    als = scene.models.als
    if als is None or (scene.signals.stored is not None and scene.fresh_share == 0.0):
        return NOTHING
    factors = vector(scene)
    if factors is None:
        return NOTHING
    scores = als.score(factors)
    chosen = best(np.where(scene.allowed[scene.models.als_items], scores, -np.inf), scene.reach)
    return part(scene.models.als_items[chosen], scaled(scores[chosen]))


def anchors(scene: Scene, items: Ints) -> Ints:
    """For each item the interest nearest to it, by weight times product of factors; shape (C,).

    Stands for the exact contributions (``Als.contributions``), which take a linear solve an item.
    """
    als = scene.models.als
    interests = [(at, weight) for at, weight in scene.profile.weights.items() if weight > 0][
        : scene.config.profile_events
    ]
    if als is None or not interests or not items.size:
        return np.full(items.size, NOBODY, np.int32)
    positions = np.array([at for at, _ in interests], np.int32)
    weights = np.array([weight for _, weight in interests], np.float32)
    products = _factors(als, scene, items) @ (_factors(als, scene, positions) * weights[:, None]).T
    leading = positions[products.argmax(axis=1)]
    return np.where(products.max(axis=1) > 0, leading, NOBODY).astype(np.int32)


def _weights(scene: Scene) -> dict[str, float]:
    ids = scene.catalogue.ids
    return {ids[at]: weight for at, weight in scene.profile.weights.items()}


def _factors(als: Als, scene: Scene, items: Ints) -> Floats:
    """Factors of items by catalogue position (C, d); zeros for what the model does not know."""
    rows = [als.index_of(scene.catalogue.ids[at]) for at in items.tolist()]
    factors: Floats = als.item_factors[[0 if row is None else row for row in rows]]
    factors[[row is None for row in rows]] = 0.0
    return factors
