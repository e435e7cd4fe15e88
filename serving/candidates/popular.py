"""``popular``: what most people like, from live counts; from the model where there are none."""

from __future__ import annotations

from serving.scene import Part, Scene, bucketed


def candidates(scene: Scene) -> Part:
    """The most popular, scored by bucketed rank."""
    live = scene.signals.population.popular
    items = live if live.size else scene.models.popular.items
    return bucketed(items[scene.allowed[items]][: scene.reach])
