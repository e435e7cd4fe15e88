"""``people``: what those took whose items are most like this person's (user neighbours, found when asked)."""

from __future__ import annotations

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext, best_allowed, max_normalize


def generate(context: RankingContext) -> Candidates:
    """The best by the neighbours' similarities."""
    model = context.models.people
    if model is None or not context.profile.weights:
        return NO_CANDIDATES
    ids = context.catalogue.ids
    scores = model.value.score({ids[at]: weight for at, weight in context.profile.weights.items()})
    chosen = best_allowed(context, model.items, scores, above=0.0)
    return Candidates(model.items[chosen], max_normalize(scores[chosen]))


SOURCE = CandidateSource(
    name="people",
    weight=0.3,
    sentence=Sentence("people with your taste took this"),
    generate=generate,
    needs=("people",),
    order=4,
)
