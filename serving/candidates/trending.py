"""``trending_hour``, ``trending_day``, ``trending_fortnight``: what people turn to now, by how fast it is forgotten."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from serving.scene import NOTHING, Part, Scene, part, supported
from signals.popularity import HALF_LIVES


def by_half_life(number: int) -> Callable[[Scene], Part]:
    """The source of one of HALF_LIVES: scores are decayed counts, near 1 where many events support them."""

    def candidates(scene: Scene) -> Part:
        population = scene.signals.population
        items = population.rising(number)
        items = items[scene.allowed[items]][: scene.reach]
        if not items.size:
            return NOTHING
        logs = population.decayed(number, items) - scene.asked.now / HALF_LIVES[number]
        counts = np.exp2(np.clip(logs, -60.0, 60.0)).astype(np.float32)
        return part(items, supported(counts, scene.config.trending_support))

    return candidates
