"""``session``: what went on in the recent sessions that are most like this one (VMIS-kNN over last night's and live ones)."""

from __future__ import annotations

import numpy as np

from models.session_knn import Sessions, query_of, votes
from serving.ordering import strongest
from serving.scene import NOTHING, Part, Scene, part, supported


def candidates(scene: Scene) -> Part:
    """The items with most votes of the neighbours of the newest interactions."""
    newest = scene.profile.trail
    if not newest.size:
        return NOTHING
    voting = scene.config.voting
    tail = scene.signals.population.sessions.tail
    live: Sessions = tail if scene.profile.session is None else tail.without(scene.profile.session)
    indexes = [live] if scene.models.sessions is None else [scene.models.sessions, live]
    found = votes(indexes, query_of(newest, voting), voting)
    scores = np.where(scene.allowed[found.items], found.scores, -np.inf)
    chosen = strongest(scores, scene.reach, scene.catalogue.column("hash")[found.items])
    return part(found.items[chosen], supported(scores[chosen].astype(np.float32), scene.config.session_support))
