"""``text``: what is described like the newest items, so that an item is found that nobody has touched yet."""

from __future__ import annotations

from itertools import islice

from serving.scene import Part, Scene, gathered, leads, scaled


def candidates(scene: Scene) -> Part:
    """Items that share telling terms with the newest ones, less the older those are."""
    alike, count = scene.catalogue.text.alike, scene.config.neighbours
    newest = islice(scene.profile.recent.items(), scene.config.text_anchors)
    matches = ((at, weight, *alike(at, count)) for at, weight in newest)
    found = gathered(scene, leads((at, items, scaled(scores) * weight) for at, weight, items, scores in matches))
    return found._replace(scores=scaled(found.scores))
