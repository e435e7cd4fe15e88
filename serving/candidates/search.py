"""``search``: what matches the person's latest searches; an intent that fades within the hour."""

from __future__ import annotations

from serving.scene import NOBODY, Part, Scene, gathered, scaled


def candidates(scene: Scene) -> Part:
    """Matches of the newest queries in the catalogue's texts."""
    matches = ((scene.catalogue.text.search(query, scene.reach), weight) for query, weight in scene.profile.queries)
    return gathered(scene, [(NOBODY, items, scaled(scores) * weight) for (items, scores), weight in matches])
