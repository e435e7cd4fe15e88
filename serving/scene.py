"""What a source of candidates sees, and what it gives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from models.arrays import Floats, Ints
from schemas.answers import Asked
from serving.bundle import Columns, Models
from serving.catalogue import Catalogue
from serving.config import RankingConfig
from serving.fields import Bools
from serving.ordering import strongest
from serving.population import Population
from serving.profile import Profile
from signals.users import UserValue

NOBODY: Final = -1
"""The anchor of a candidate that no single item led to."""


class Signals(NamedTuple):
    """What is known at this moment: the person's value, everybody's aggregates, the person's precomputed list."""

    user: UserValue
    population: Population
    stored: Columns | None = None


class Scene(NamedTuple):
    """One request with all that bears on it. ``allowed`` (n,) says which positions may be recommended."""

    asked: Asked
    profile: Profile
    signals: Signals
    models: Models
    catalogue: Catalogue
    config: RankingConfig
    allowed: Bools
    reach: int

    @property
    def trained(self) -> bool:
        """Whether the model knows this person."""
        als, user_id = self.models.als, self.asked.user_id
        known = als is not None and user_id is not None and als.vector(user_id) is not None
        return known or bool(self.signals.stored and self.signals.stored.items.size)

    @property
    def fresh_share(self) -> float:
        """How far what the person did since training outweighs what was learned: 0 to 1; 1 for a stranger."""
        if not self.trained:
            return 1.0
        return self.profile.fresh / (self.profile.fresh + self.config.mix)


class Part(NamedTuple):
    """One source's candidates: distinct positions (C,), scores 0 to 1 (C,), the item that led to each (or NOBODY)."""

    items: Ints
    scores: Floats
    anchors: Ints


NOTHING: Final = Part(np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.int32))


def part(items: Ints, scores: Floats) -> Part:
    """Candidates that no single item led to."""
    return Part(items, scores, np.full(items.size, NOBODY, np.int32))


def scaled(scores: Floats) -> Floats:
    """Scores brought to 0..1 by the greatest one; what is below zero becomes zero."""
    top = float(scores.max(initial=0.0))
    positive: Floats = np.maximum(scores, 0.0).astype(np.float32, copy=False)
    return positive / np.float32(top) if top > 0 else positive


def supported(scores: Floats, support: float) -> Floats:
    """Scores above 0 brought to 0..1: the greatest one is near 1 where it is far above ``support``, which has its unit."""
    top = float(scores.max(initial=0.0))
    weighed: Floats = scores / np.float32(top + support) if top > 0 else scores
    return weighed


def gathered(scene: Scene, found: Iterable[tuple[int, Ints, Floats]]) -> Part:
    """Candidates of several anchors: summed scores, each with the anchor that gave it most; the best ``reach``."""
    kept = [(anchor, items, scores) for anchor, items, scores in found if items.size]
    if not kept:
        return NOTHING
    items = np.concatenate([items for _, items, _ in kept])
    scores = np.concatenate([scores for _, _, scores in kept])
    anchors = np.repeat([anchor for anchor, _, _ in kept], [items.size for _, items, _ in kept])
    order = np.lexsort((scores, items))
    order = order[scene.allowed[items[order]]]
    if not order.size:
        return NOTHING
    items, scores, anchors = items[order], scores[order], anchors[order]
    last = np.append(items[1:] != items[:-1], True)
    ends = np.flatnonzero(last)
    starts = np.append(0, ends[:-1] + 1)
    summed = np.add.reduceat(scores, starts).astype(np.float32)
    chosen = strongest(summed, scene.reach, scene.catalogue.column("hash")[items[starts]])
    # Of an item's anchors the strongest is the last of its run.
    return Part(items[starts][chosen], summed[chosen], anchors[ends][chosen].astype(np.int32))


def bucketed(items: Ints) -> Part:
    """Candidates in order, scored by rank in doubling buckets: a small change of counts seldom changes a score."""
    buckets = np.floor(np.log2(np.arange(1, items.size + 1)))
    return part(items, np.exp2(-buckets / 2).astype(np.float32))
