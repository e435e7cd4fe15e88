"""``popular_in_segment``: what was popular at training with people of the same age, gender, country or region."""

from __future__ import annotations

import numpy as np

from models.content import attribute_terms
from models.popularity import Popularity
from models.structures.arrays import Floats
from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext, best_allowed, max_normalize


def generate(context: RankingContext) -> Candidates:
    """The most popular items of every segment that the request's context or the user's known attributes name."""
    popularity = context.models.popularity
    if popularity is None:
        return NO_CANDIDATES
    scores = _scores(popularity, {**context.request.context, **context.request.attributes})
    if scores is None:
        return NO_CANDIDATES
    items = context.models.popularity_items
    chosen = best_allowed(context, items, scores, above=0.0)
    return Candidates(items[chosen], max_normalize(scores[chosen]))


def _scores(popularity: Popularity, attributes: dict[str, object]) -> Floats | None:
    """Sum of the scores (I,) in each segment, brought to 0..1 each; None where no segment is known."""
    segments = [term for term in sorted(attribute_terms(attributes)) if term in popularity.boards]
    if not segments:
        return None
    total = np.zeros(len(popularity.item_ids), np.float32)
    for segment in segments:
        total += max_normalize(popularity.score(segment=segment))
    return total


SOURCE = CandidateSource(
    name="popular_in_segment",
    weight=0.2,
    sentence=Sentence("popular with people around you"),
    generate=generate,
    needs=("popularity",),
    scope="everybody",
    order=20,
)
