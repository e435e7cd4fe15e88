"""``next``: what others went on to after the items that this person has just been at (co-visitation)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from models.arrays import Floats, Ints
from serving.scene import Part, Scene, gathered
from signals.covisits import NEXT_HALF_LIFE


def candidates(scene: Scene) -> Part:
    """Followers of the newest items; a follower is believed as far as its co-visits support it."""
    latest = list(islice(scene.profile.recent.items(), scene.config.anchors))
    total = sum(weight for _, weight in latest)
    return gathered(scene, following(scene, ((at, weight / total) for at, weight in latest)))


def following(scene: Scene, anchors: Iterable[tuple[int, float]]) -> Iterator[tuple[int, Ints, Floats]]:
    """Each anchor's followers, scored 0 to its weight."""
    for at, weight in anchors:
        followers = scene.signals.population.followers(at)
        if followers is not None:
            visits = np.exp2(np.minimum(followers.visits - scene.asked.now / NEXT_HALF_LIFE, 60.0))
            believed = weight * visits / (visits + scene.config.next_support)
            yield at, followers.items, believed.astype(np.float32)
