"""``precomputed``: the precomputed list of the user in the active model version."""

from __future__ import annotations

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext, first_allowed, max_normalize


def generate(context: RankingContext) -> Candidates:
    """The stored list in its order, without items that are not allowed now."""
    stored = context.signals.stored
    if stored is None:
        return NO_CANDIDATES
    best = first_allowed(context, stored.items)
    return Candidates(stored.items[best], max_normalize(stored.scores[best]))


SOURCE = CandidateSource(
    name="precomputed",
    weight=1.0,
    sentence=Sentence("people like you enjoy this"),
    generate=generate,
    needs=("has_lists",),
    order=0,
)
