"""``people``: what those took whose items are most like this person's (user neighbours, found when asked)."""

from __future__ import annotations

import numpy as np

from serving.ordering import strongest
from serving.scene import NOTHING, Part, Scene, part, scaled


def candidates(scene: Scene) -> Part:
    """The best by the neighbours' similarities."""
    model = scene.models.people
    if model is None or not scene.profile.weights:
        return NOTHING
    ids = scene.catalogue.ids
    scores = model.value.score({ids[at]: weight for at, weight in scene.profile.weights.items()})
    scores[~scene.allowed[model.items]] = -np.inf
    scores[scores <= 0] = -np.inf
    chosen = strongest(scores, scene.reach, scene.catalogue.column("hash")[model.items])
    return part(model.items[chosen], scaled(scores[chosen]))
