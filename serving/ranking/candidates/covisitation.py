"""``next``: what others went on to after the items that this person has just been at (co-visitation)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from math import exp2, log2
from typing import Final

from serving.ranking.context import Lead, Part, Scene, gathered, supported
from serving.state.covisits import Followers
from signals.covisits import NEXT_HALF_LIFE

_LIVELY: Final = 20.0
"""Co-visits of the busiest of the newest items, below which they are not let to decay."""


def candidates(scene: Scene) -> Part:
    """Followers of the newest items, less the older the item is; scores near 1 where many co-visits support them."""
    found = gathered(scene, following(scene, islice(scene.profile.recent.items(), scene.config.next_anchors)))
    return found._replace(scores=supported(found.scores, scene.config.next_support))


def following(scene: Scene, anchors: Iterable[tuple[int, float]]) -> Iterator[Lead]:
    """Each anchor's followers: its weight times co-visits^``next_power``, over its own activity^``next_damping``."""
    return linked(scene, anchors, scene.signals.population.followers, NEXT_HALF_LIFE)


def linked(
    scene: Scene, anchors: Iterable[tuple[int, float]], links: Callable[[int], Followers | None], half_life: float
) -> Iterator[Lead]:
    """``following`` for links of any kind, whose counts halve every ``half_life`` seconds."""
    found = [(at, weight, each) for at, weight in anchors if (each := links(at)) is not None and each.items.size]
    if not found:
        return
    power, damping = scene.config.next_power, scene.config.next_damping
    # Where all is long ago, time stands still at the last lively moment: what went together still does.
    since = min(scene.asked.now / half_life, max(each.total for _, _, each in found) - log2(_LIVELY))
    for at, weight, each in found:
        visits = each.total - since
        counts = weight * exp2(power * visits - damping * log2(1.0 + exp2(visits)))
        yield Lead(at, counts, each.items, each.shares(power))
