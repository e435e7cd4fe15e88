"""``list``: the person's precomputed list of the active model version."""

from __future__ import annotations

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext, first_allowed, max_normalize


def generate(context: RankingContext) -> Candidates:
    """The stored list in its order, what is no longer allowed left out."""
    stored = context.signals.stored
    if stored is None:
        return NO_CANDIDATES
    best = first_allowed(context, stored.items)
    return Candidates(stored.items[best], max_normalize(stored.scores[best]))


SOURCE = CandidateSource(
    name="list",
    weight=1.0,
    sentence=Sentence("people like you enjoy this"),
    generate=generate,
    needs=("has_lists",),
    order=0,
)
