"""``new_hour``, ``new``: the newest items of the site, weighted by the categories of the user where these are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.config import RankingConfig
from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext
from serving.state.catalogue import taste
from signals.decay import HOUR


def by_age(half: Callable[[RankingConfig], float]) -> Callable[[RankingContext], Candidates]:
    """A source that scores items by age; ``half`` returns the age (seconds) at which the score is one half."""

    def generate(context: RankingContext) -> Candidates:
        catalogue, now = context.catalogue, context.request.now
        recent, young = catalogue.recent_items.newest(
            now, now - context.config.new_age, context.allowed, context.candidate_limit
        )
        if not young.size:
            return NO_CANDIDATES
        scores = (1.0 / (1.0 + (now - recent.born[young]) / half(context.config))).astype(np.float32)
        shares = taste(catalogue, context.profile.weights.items())
        return Candidates(recent.items[young], scores * recent.likeness(shares)[young] if shares else scores)

    return generate


SOURCES = (
    CandidateSource("new_hour", 0.1, Sentence("just in"), by_age(lambda _: HOUR), order=16),
    CandidateSource("new", 0.05, Sentence("new here"), by_age(lambda config: config.new_age), order=17),
)
