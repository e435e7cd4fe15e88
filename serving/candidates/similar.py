"""``similar``: what is most like the person's strongest interests, by the model's neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from models.arrays import Floats, Ints
from serving.scene import NOTHING, Part, Scene, gathered, leads, scaled


def candidates(scene: Scene) -> Part:
    """Similar items of the strongest interests, each weighed by its interest."""
    interests = list(islice(scene.profile.weights.items(), scene.config.anchors))
    found = gathered(scene, leads(_neighbours(scene, interests)))
    return found._replace(scores=scaled(found.scores))


def averse(scene: Scene) -> Part:
    """What is most like items that the person said no to; taken off the score, never shown as a reason."""
    if not scene.profile.disliked:
        return NOTHING
    found = gathered(
        scene, leads(_neighbours(scene, ((at, 1.0) for at in scene.profile.disliked[: scene.config.anchors])))
    )
    return found._replace(scores=scaled(found.scores))


def _neighbours(scene: Scene, interests: Iterable[tuple[int, float]]) -> Iterator[tuple[int, Ints, Floats]]:
    for at, weight in interests:
        alike = scene.models.similar(scene.catalogue, at, scene.config.neighbours)
        yield at, alike.items, alike.scores * weight
