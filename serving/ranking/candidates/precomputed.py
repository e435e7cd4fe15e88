"""``list``: the person's precomputed list of the active model version."""

from __future__ import annotations

from serving.ranking.context import NOTHING, Part, Scene, first_allowed, scaled


def candidates(scene: Scene) -> Part:
    """The stored list in its order, what is no longer allowed left out."""
    stored = scene.signals.stored
    if stored is None:
        return NOTHING
    best = first_allowed(scene, stored.items)
    return Part(stored.items[best], scaled(stored.scores[best]))
