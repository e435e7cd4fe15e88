"""``similar``: what is most like the person's strongest interests, by the model's neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext, SeedMatches, max_normalize, sum_by_item


def candidates(scene: RankingContext) -> Candidates:
    """Similar items of the strongest interests, each weighed by its interest."""
    interests = islice(scene.profile.weights.items(), scene.config.anchors)
    found = sum_by_item(scene, _neighbours(scene, interests))
    return found._replace(scores=max_normalize(found.scores))


def negative_feedback(scene: RankingContext) -> Candidates:
    """What is most like items that the person said no to; taken off the score, never shown as a reason."""
    if not scene.profile.disliked:
        return NO_CANDIDATES
    disliked = scene.profile.disliked[: scene.config.anchors]
    found = sum_by_item(scene, _neighbours(scene, ((at, 1.0) for at in disliked)))
    return found._replace(scores=max_normalize(found.scores))


def _neighbours(scene: RankingContext, interests: Iterable[tuple[int, float]]) -> Iterator[SeedMatches]:
    for at, weight in interests:
        yield SeedMatches(at, weight, *scene.models.similar(scene.catalogue, at, scene.config.neighbours))
