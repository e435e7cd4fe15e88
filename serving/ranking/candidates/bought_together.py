"""``together``: what others put in the same baskets, playlists and collections as the newest items."""

from __future__ import annotations

from itertools import islice

from serving.ranking.candidates.covisitation import linked
from serving.ranking.context import Part, Scene, gathered, supported
from signals.baskets import HALF_LIFE


def candidates(scene: Scene) -> Part:
    """Companions of the newest items, weighed as ``next`` weighs followers."""
    newest = islice(scene.profile.recent.items(), scene.config.next_anchors)
    part = gathered(scene, linked(scene, newest, scene.signals.population.companions, HALF_LIFE))
    return part._replace(scores=supported(part.scores, scene.config.next_support))
