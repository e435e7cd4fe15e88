"""``next``: what others went on to after the items that this person has just been at (co-visitation)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from math import log2
from typing import Final

import numpy as np

from serving.links import Followers
from serving.scene import Leads, Part, Scene, gathered, leads, supported
from signals.covisits import NEXT_HALF_LIFE

_LIVELY: Final = 20.0
"""Co-visits of the busiest of the newest items, below which they are not let to decay."""


def candidates(scene: Scene) -> Part:
    """Followers of the newest items, less the older the item is; scores near 1 where many co-visits support them."""
    found = gathered(scene, following(scene, islice(scene.profile.recent.items(), scene.config.next_anchors)))
    return found._replace(scores=supported(found.scores, scene.config.next_support))


def following(scene: Scene, anchors: Iterable[tuple[int, float]]) -> Leads:
    """Each anchor's followers: its weight times co-visits^``next_power``, over its own activity^``next_damping``."""
    return linked(scene, anchors, scene.signals.population.followers, NEXT_HALF_LIFE)


def linked(
    scene: Scene, anchors: Iterable[tuple[int, float]], links: Callable[[int], Followers | None], half_life: float
) -> Leads:
    """``following`` for links of any kind, whose counts halve every ``half_life`` seconds."""
    found = [(at, weight, each) for at, weight in anchors if (each := links(at)) is not None and each.items.size]
    if not found:
        return leads(())
    positions, weights, followers = zip(*found, strict=True)
    totals = np.array([each.total for each in followers])
    # Where all is long ago, time stands still at the last lively moment: what went together still does.
    since = min(scene.asked.now / half_life, float(totals.max()) - log2(_LIVELY))
    active = scene.config.next_damping * np.log2(1.0 + np.exp2(totals - since))
    owner = np.repeat(np.arange(totals.size), [each.items.size for each in followers])
    visits = np.concatenate([each.visits for each in followers])
    scores = np.array(weights)[owner] * np.exp2(scene.config.next_power * (visits - since) - active[owner])
    items = np.concatenate([each.items for each in followers])
    return Leads(np.array(positions, np.int32)[owner], items, scores.astype(np.float32))
