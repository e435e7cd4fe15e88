"""``precomputed``: the precomputed list of the user in the active model version."""

from __future__ import annotations

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext, first_allowed, max_normalize


def generate(context: RankingContext) -> Candidates:
    """The precomputed list in its order, without items that are not allowed now."""
    precomputed = context.signals.precomputed
    if precomputed is None:
        return NO_CANDIDATES
    best = first_allowed(context, precomputed.items)
    return Candidates(precomputed.items[best], max_normalize(precomputed.scores[best]))


SOURCE = CandidateSource(
    name="precomputed",
    weight=1.0,
    sentence=Sentence("people like you enjoy this"),
    generate=generate,
    needs=("has_lists",),
    order=0,
)
