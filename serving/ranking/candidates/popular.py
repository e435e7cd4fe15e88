"""``popular``: the most popular items by live counts; by the model where there are no live counts."""

from __future__ import annotations

import numpy as np

from models.structures.arrays import Ints
from serving.arrays.top_k import top_k
from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import Candidates, RankingContext, first_allowed, rank_buckets


def generate(context: RankingContext) -> Candidates:
    """The most popular items, scored by rank bucket; of the requested categories where the request names some."""
    live = context.signals.aggregates.popular
    items = live if live.size else context.models.popular.items
    items = items[first_allowed(context, items)]
    # The list over all categories is cut off, and may hold few items of a small category.
    if live.size and context.request.categories and items.size < context.candidate_limit:
        items = _of_allowed(context)
    return rank_buckets(items)


def _of_allowed(context: RankingContext) -> Ints:
    """Allowed items that somebody has visited, by live counts."""
    allowed = np.flatnonzero(context.allowed).astype(np.int32)
    counts = context.signals.aggregates.count(allowed)
    ties = context.catalogue.column("hash")[allowed]
    return allowed[top_k(np.where(counts > 0, counts, -np.inf), context.candidate_limit, ties)]


SOURCE = CandidateSource(
    name="popular",
    weight=0.3,
    sentence=Sentence("popular with everyone"),
    generate=generate,
    scope="everybody",
    order=15,
)
