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
"""Cosine from which an interest counts as the seed of a candidate."""


def generate(context: RankingContext) -> Candidates:
    """The best items by the user's factors now; none where the precomputed list would be the same."""
    als = context.models.als
    if als is None or (context.signals.precomputed is not None and context.fresh_share == 0.0):
        return NO_CANDIDATES
    factors = user_vector(context)
    if factors is None:
        return NO_CANDIDATES
    items, scores = context.models.als_items, als.score(factors)
    chosen = best_allowed(context, items, scores)
    positions = items[chosen]
    return Candidates(positions, max_normalize(scores[chosen]), lambda indices: seeds(context, positions[indices]))


def seeds(context: RankingContext, items: Ints) -> Ints:
    """For each item the interest with the greatest weight times cosine of factors, shape (C,).

    This approximates the exact contributions (``Als.contributions``), which need a linear solve for each item.
    NO_SEED where the cosine is below ``_ALIKE``: the candidate comes from the trained factors as a whole.
    """
    interests = list(context.profile.weights.items())
    if context.models.als is None or not interests or not items.size:
        return np.full(items.size, NO_SEED, np.int32)
    positions = np.array([position for position, _ in interests], np.int32)
    weights = np.array([weight for _, weight in interests], np.float32)
    cosines = _directions(context.models.als, context, items) @ _directions(context.models.als, context, positions).T
    leading = (cosines * weights).argmax(axis=1)
    alike = cosines[np.arange(items.size), leading] >= _ALIKE
    return np.where(alike, positions[leading], NO_SEED).astype(np.int32)


def _directions(als: Als, context: RankingContext, items: Ints) -> Floats:
    """Factors of length one for these positions (C, d); zeros for items that the model does not know."""
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
