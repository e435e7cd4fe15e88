"""``trending_hour``, ``trending_day``, ``trending_fortnight``: trending items, by counts of three half-lives."""

from __future__ import annotations

from collections.abc import Callable
from math import log2

import numpy as np

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import Candidates, RankingContext, first_allowed


def by_half_life(number: int) -> Callable[[RankingContext], Candidates]:
    """A source for one of HALF_LIVES: scores are logarithms of decayed counts, 1 from ``trending_saturation`` events on.

    A learned weight turns a logarithm into a power of the count; and one event more changes the order of few items.
    """

    def generate(context: RankingContext) -> Candidates:
        top = context.signals.aggregates.decayed_top(number, context.request.now)
        best = first_allowed(context, top.items)
        scores = top.logs[best] / np.float32(log2(1.0 + context.config.trending_saturation))
        return Candidates(top.items[best], np.minimum(scores, np.float32(1.0)))

    return generate


SOURCES = tuple(
    CandidateSource(
        name=name,
        weight=weight,
        sentence=Sentence(sentence),
        generate=by_half_life(number),
        scope="everybody",
        order=11 + number,
    )
    for number, (name, weight, sentence) in enumerate(
        (
            ("trending_hour", 0.2, "trending this hour"),
            ("trending_day", 0.3, "trending today"),
            ("trending_fortnight", 0.3, "trending these days"),
        )
    )
)
"""One for each of HALF_LIVES."""
