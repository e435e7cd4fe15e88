"""``people``: what those took whose items are most like this person's (user neighbours, found when asked)."""

from __future__ import annotations

from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext, best_allowed, max_normalize


def candidates(scene: RankingContext) -> Candidates:
    """The best by the neighbours' similarities."""
    model = scene.models.people
    if model is None or not scene.profile.weights:
        return NO_CANDIDATES
    ids = scene.catalogue.ids
    scores = model.value.score({ids[at]: weight for at, weight in scene.profile.weights.items()})
    chosen = best_allowed(scene, model.items, scores, above=0.0)
    return Candidates(model.items[chosen], max_normalize(scores[chosen]))
