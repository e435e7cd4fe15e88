"""``fold_in``: all items scored by factors that include what the user did last (see ``user_vector``)."""

from __future__ import annotations

from typing import Final

import numpy as np

from models.als import Als
from models.structures.arrays import Floats, Ints
from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_CANDIDATES, NO_SEED, Candidates, RankingContext, best_allowed, max_normalize
from serving.ranking.user_vector import user_vector

_ALIKE: Final = 0.25
"""Cosine from which an interest is given as a reason."""


def generate(context: RankingContext) -> Candidates:
    """The best items by the person's factors now; none where the stored list already says the same."""
    als = context.models.als
    if als is None or (context.signals.stored is not None and context.fresh_share == 0.0):
        return NO_CANDIDATES
    factors = user_vector(context)
    if factors is None:
        return NO_CANDIDATES
    items, scores = context.models.als_items, als.score(factors)
    chosen = best_allowed(context, items, scores)
    found = items[chosen]
    return Candidates(found, max_normalize(scores[chosen]), lambda places: anchors(context, found[places]))


def anchors(context: RankingContext, items: Ints) -> Ints:
    """For each item the interest that led there most, by weight times cosine of factors; shape (C,).

    Stands for the exact contributions (``Als.contributions``), which take a linear solve an item. No interest is
    named that is hardly like the item: then it was the trained taste as a whole.
    """
    interests = list(context.profile.weights.items())
    if context.models.als is None or not interests or not items.size:
        return np.full(items.size, NO_SEED, np.int32)
    positions = np.array([at for at, _ in interests], np.int32)
    weights = np.array([weight for _, weight in interests], np.float32)
    cosines = _directions(context.models.als, context, items) @ _directions(context.models.als, context, positions).T
    leading = (cosines * weights).argmax(axis=1)
    alike = cosines[np.arange(items.size), leading] >= _ALIKE
    return np.where(alike, positions[leading], NO_SEED).astype(np.int32)


def _directions(als: Als, context: RankingContext, items: Ints) -> Floats:
    """Factors of length one by catalogue position (C, d); zeros for what the model does not know."""
    rows = np.full(items.size, -1, np.int32)
    placed = items < context.models.als_rows.size
    rows[placed] = context.models.als_rows[items[placed]]
    factors: Floats = als.item_factors[rows]
    lengths = np.sqrt(np.einsum("cd,cd->c", factors, factors))[:, None]
    lengths[rows < 0] = np.inf
    directions: Floats = factors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return directions


SOURCE = CandidateSource(
    name="fold_in",
    weight=1.0,
    sentence=Sentence("fits what you have been doing", "fits what you have been doing, above all {item}"),
    generate=generate,
    needs=("als",),
    order=1,
)
