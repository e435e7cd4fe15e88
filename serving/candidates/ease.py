"""``ease``: all items scored by a linear autoencoder from what the person did, the newest most."""

from __future__ import annotations

from itertools import islice

import numpy as np

from serving.ordering import strongest
from serving.scene import NOTHING, Part, Scene, supported


def candidates(scene: Scene) -> Part:
    """The best by the sum of the interests' weights; each with the interest that speaks for it most."""
    model = scene.models.ease
    if model is None:
        return NOTHING
    known = [
        (at, row, weight)
        for at, weight in islice(scene.profile.weights.items(), scene.config.ease_interests)
        if (row := model.row_of(at)) >= 0
    ]
    if not known:
        return NOTHING
    positions, rows, weights = (np.array(column) for column in zip(*known, strict=True))
    scores = model.value.score_rows(rows, weights.astype(np.float32))
    scores[~scene.allowed[model.items]] = -np.inf
    scores[scores <= 0] = -np.inf
    chosen = strongest(scores, scene.reach, scene.catalogue.column("hash")[model.items])
    spoken = model.value.contributions_of(rows, weights.astype(np.float32), chosen)
    anchors = positions[spoken.argmax(axis=0)].astype(np.int32) if chosen.size else np.empty(0, np.int32)
    return Part(model.items[chosen], supported(scores[chosen], scene.config.ease_support), anchors)
