"""``next``: what others went on to after the items that this person has just been at (co-visitation)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from math import log2
from typing import Final

import numpy as np

from models.arrays import Floats, Ints
from serving.links import Followers
from serving.scene import Part, Scene, gathered, supported
from signals.covisits import NEXT_HALF_LIFE

_LIVELY: Final = 20.0
"""Co-visits of the busiest of the newest items, below which they are not let to decay."""


def candidates(scene: Scene) -> Part:
    """Followers of the newest items, less the older the item is; scores near 1 where many co-visits support them."""
    found = gathered(scene, following(scene, islice(scene.profile.recent.items(), scene.config.next_anchors)))
    return found._replace(scores=supported(found.scores, scene.config.next_support))


def following(scene: Scene, anchors: Iterable[tuple[int, float]]) -> Iterator[tuple[int, Ints, Floats]]:
    """Each anchor's followers: its weight times co-visits^``next_power``, over its own activity^``next_damping``."""
    population = scene.signals.population
    found = [(at, weight, each) for at, weight in anchors if (each := population.followers(at)) is not None]
    return linked(scene, found, NEXT_HALF_LIFE)


def linked(
    scene: Scene, found: Iterable[tuple[int, float, Followers]], half_life: float
) -> Iterator[tuple[int, Ints, Floats]]:
    """``following`` for links of any kind, whose counts halve every ``half_life`` seconds."""
    config, found = scene.config, list(found)
    busiest = max((each.total for _, _, each in found), default=0.0)
    # Where all is long ago, time stands still at the last lively moment: what went together still does.
    since = min(scene.asked.now / half_life, busiest - log2(_LIVELY))
    for at, weight, each in found:
        active = log2(1.0 + 2.0 ** (each.total - since))
        logs = config.next_power * (each.visits - since) - config.next_damping * active
        yield at, each.items, (weight * np.exp2(logs)).astype(np.float32)
