"""``search``: items that match the newest searches of the user, and items that others visited after such searches."""

from __future__ import annotations

from typing import Final

import numpy as np

from models.structures.arrays import Floats, Ints
from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_SEED, Candidates, RankingContext, SeedMatches, max_normalize, shrink, sum_by_item
from signals.kinds.queries import HALF_LIFE, query_words

_SUPPORT: Final = 5.0
"""Visits after a word at which their score reaches one half."""


def generate(context: RankingContext) -> Candidates:
    """Items whose texts match the newest queries, and items visited after their words; best where both agree."""
    matches = (
        SeedMatches(NO_SEED, weight, items, scores)
        for query, weight in context.profile.queries
        for items, scores in _matches(context, query)
    )
    return sum_by_item(context, matches)


def _matches(context: RankingContext, query: str) -> list[tuple[Ints, Floats]]:
    """The items that a query matches, and those visited after each of its words; an item's scores sum to 1 at most."""
    items, scores = context.catalogue.text.search(query, context.candidate_limit)
    words = query_words(query)
    visited = [_visited_after(context, word) for word in words]
    total = 1.0 + sum(float(visits.max(initial=0.0)) for _, visits in visited) / max(1, len(words))
    by_words = ((positions, visits / (len(words) * total)) for positions, visits in visited)
    return [(items, max_normalize(scores) / total), *by_words]


def _visited_after(context: RankingContext, word: str) -> tuple[Ints, Floats]:
    """Items visited after a search for a word: positions, and decayed visits scaled to 0..1."""
    visited = context.signals.aggregates.sought(word)
    visits = np.exp2(np.clip(visited.visits - context.request.now / HALF_LIFE, -60.0, 60.0)).astype(np.float32)
    return visited.items, shrink(visits, _SUPPORT)


SOURCE = CandidateSource(
    name="search",
    weight=0.8,
    sentence=Sentence("matches what you searched for"),
    generate=generate,
    order=9,
)
