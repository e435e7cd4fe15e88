"""``similar``: what is most like the person's strongest interests, by the model's neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from serving.ranking.context import NOTHING, Lead, Part, Scene, gathered, scaled


def candidates(scene: Scene) -> Part:
    """Similar items of the strongest interests, each weighed by its interest."""
    interests = islice(scene.profile.weights.items(), scene.config.anchors)
    found = gathered(scene, _neighbours(scene, interests))
    return found._replace(scores=scaled(found.scores))


def averse(scene: Scene) -> Part:
    """What is most like items that the person said no to; taken off the score, never shown as a reason."""
    if not scene.profile.disliked:
        return NOTHING
    disliked = scene.profile.disliked[: scene.config.anchors]
    found = gathered(scene, _neighbours(scene, ((at, 1.0) for at in disliked)))
    return found._replace(scores=scaled(found.scores))


def _neighbours(scene: Scene, interests: Iterable[tuple[int, float]]) -> Iterator[Lead]:
    for at, weight in interests:
        yield Lead(at, weight, *scene.models.similar(scene.catalogue, at, scene.config.neighbours))
