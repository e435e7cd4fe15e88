"""``trending``: what more and more people turn to, over all half-lives."""

from __future__ import annotations

from serving.scene import Part, Scene, bucketed


def candidates(scene: Scene) -> Part:
    """The most trending, scored by bucketed rank."""
    items = scene.signals.population.trending
    return bucketed(items[scene.allowed[items]][: scene.reach])
