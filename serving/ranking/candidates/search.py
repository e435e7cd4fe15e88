"""``search``: what matches the person's latest searches, and what others went to after them; fades within the hour."""

from __future__ import annotations

from typing import Final

import numpy as np

from models.structures.arrays import Floats, Ints
from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_SEED, Candidates, RankingContext, SeedMatches, max_normalize, shrink, sum_by_item
from signals.queries import HALF_LIFE, query_words

_SUPPORT: Final = 5.0
"""Visits after a word at which where they went is half believed."""


def generate(context: RankingContext) -> Candidates:
    """Matches of the newest queries in the catalogue's texts, and what their words have led to; best where both agree."""
    found = (
        SeedMatches(NO_SEED, weight, items, scores)
        for query, weight in context.profile.queries
        for items, scores in _led(context, query)
    )
    return sum_by_item(context, found)


def _led(context: RankingContext, query: str) -> list[tuple[Ints, Floats]]:
    """What a query matches and what its words led to; an item's scores sum to 1 at most."""
    items, scores = context.catalogue.text.search(query, context.candidate_limit)
    words = query_words(query)
    went = [_went(context, word) for word in words]
    believed = 1.0 + sum(float(each.max(initial=0.0)) for _, each in went) / max(1, len(words))
    return [(items, max_normalize(scores) / believed), *((at, each / (len(words) * believed)) for at, each in went)]


def _went(context: RankingContext, word: str) -> tuple[Ints, Floats]:
    """Where people went after a word: positions, and decayed visits brought to 0..1."""
    found = context.signals.aggregates.sought(word)
    visits = np.exp2(np.clip(found.visits - context.request.now / HALF_LIFE, -60.0, 60.0)).astype(np.float32)
    return found.items, shrink(visits, _SUPPORT)


SOURCE = CandidateSource(
    name="search",
    weight=0.8,
    sentence=Sentence("matches what you searched for"),
    generate=generate,
    order=9,
)
