"""``popular``: what most people like, from live counts; from the model where there are none."""

from __future__ import annotations

import numpy as np

from models.structures.arrays import Ints
from serving.arrays.top_k import top_k
from serving.ranking.context import Candidates, RankingContext, first_allowed, rank_buckets


def candidates(scene: RankingContext) -> Candidates:
    """The most popular, scored by bucketed rank; where only some categories are asked for, the most popular there."""
    live = scene.signals.aggregates.popular
    items = live if live.size else scene.models.popular.items
    items = items[first_allowed(scene, items)]
    # The board of everybody is cut off, and may hold few of a small category.
    if live.size and scene.asked.categories and items.size < scene.reach:
        items = _of_allowed(scene)
    return rank_buckets(items)


def _of_allowed(scene: RankingContext) -> Ints:
    """Whatever is allowed and has been touched, by live counts."""
    allowed = np.flatnonzero(scene.allowed).astype(np.int32)
    counts = scene.signals.aggregates.count(allowed)
    ties = scene.catalogue.column("hash")[allowed]
    return allowed[top_k(np.where(counts > 0, counts, -np.inf), scene.reach, ties)]
