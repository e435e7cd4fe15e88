"""``trending_hour``, ``trending_day``, ``trending_fortnight``: what people turn to now, by how fast it is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from math import log2

import numpy as np

from serving.scene import NOTHING, Part, Scene
from signals.popularity import HALF_LIVES


def by_half_life(number: int) -> Callable[[Scene], Part]:
    """The source of one of HALF_LIVES: scores are logarithms of decayed counts, 1 from ``trending_crowd`` events on.

    Of a logarithm a learned weight makes a power of the count; and one event more moves few items past another.
    """

    def candidates(scene: Scene) -> Part:
        population = scene.signals.population
        items = population.rising(number)
        items = items[scene.allowed[items]][: scene.reach]
        if not items.size:
            return NOTHING
        logs = population.decayed(number, items) - scene.asked.now / HALF_LIVES[number]
        counts = np.log2(1.0 + np.exp2(np.minimum(np.maximum(logs, -60.0), 60.0)))
        return Part(items, np.minimum(counts / log2(1.0 + scene.config.trending_crowd), 1.0).astype(np.float32))

    return candidates
