"""``people``: what those took whose items are most like this person's (user neighbours, found when asked)."""

from __future__ import annotations

from serving.ranking.context import NOTHING, Part, Scene, best_allowed, scaled


def candidates(scene: Scene) -> Part:
    """The best by the neighbours' similarities."""
    model = scene.models.people
    if model is None or not scene.profile.weights:
        return NOTHING
    ids = scene.catalogue.ids
    scores = model.value.score({ids[at]: weight for at, weight in scene.profile.weights.items()})
    chosen = best_allowed(scene, model.items, scores, above=0.0)
    return Part(model.items[chosen], scaled(scores[chosen]))
