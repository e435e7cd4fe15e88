"""``new_hour``, ``new``: what the site has lately published, for a known person as far as it fits their categories."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.config import RankingConfig
from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext
from serving.state.catalogue import taste
from signals.decay import HOUR


def by_age(half: Callable[[RankingConfig], float]) -> Callable[[RankingContext], Candidates]:
    """The source that scores an item of an age (seconds) by half of what one of this moment has."""

    def generate(context: RankingContext) -> Candidates:
        catalogue, now = context.catalogue, context.request.now
        arrived, young = catalogue.arrivals.newest(
            now, now - context.config.new_age, context.allowed, context.candidate_limit
        )
        if not young.size:
            return NO_CANDIDATES
        scores = (1.0 / (1.0 + (now - arrived.born[young]) / half(context.config))).astype(np.float32)
        spread = taste(catalogue, context.profile.weights.items())
        return Candidates(arrived.items[young], scores * arrived.likeness(spread)[young] if spread else scores)

    return generate


SOURCES = (
    CandidateSource("new_hour", 0.1, Sentence("just in"), by_age(lambda _: HOUR), order=16),
    CandidateSource("new", 0.05, Sentence("new here"), by_age(lambda config: config.new_age), order=17),
)
