"""``user_knn``: items of the users whose items are most like those of this user (user neighbours, found at request time)."""

from __future__ import annotations

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext, best_allowed, max_normalize


def generate(context: RankingContext) -> Candidates:
    """The best items by the similarities of the neighbours."""
    model = context.models.user_neighbours
    if model is None or not context.profile.weights:
        return NO_CANDIDATES
    scores = model.value.score(context.interests)
    chosen = best_allowed(context, model.items, scores, above=0.0)
    return Candidates(model.items[chosen], max_normalize(scores[chosen]))


SOURCE = CandidateSource(
    name="user_knn",
    weight=0.3,
    sentence=Sentence("people with your taste took this"),
    generate=generate,
    needs=("user_neighbours",),
    order=4,
)
