"""``similar``: items most similar to the strongest interests of the user, by the neighbours of the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext, SeedMatches, max_normalize, sum_by_item


def generate(context: RankingContext) -> Candidates:
    """Similar items of the strongest interests, each multiplied by the weight of its interest."""
    interests = islice(context.profile.weights.items(), context.config.seeds)
    candidates = sum_by_item(context, _neighbours(context, interests))
    return candidates._replace(scores=max_normalize(candidates.scores))


def negative_feedback(context: RankingContext) -> Candidates:
    """Items most similar to those that the user rejected; subtracted from scores, and never shown as a reason."""
    if not context.profile.disliked:
        return NO_CANDIDATES
    disliked = context.profile.disliked[: context.config.seeds]
    candidates = sum_by_item(context, _neighbours(context, ((seed, 1.0) for seed in disliked)))
    return candidates._replace(scores=max_normalize(candidates.scores))


def _neighbours(context: RankingContext, interests: Iterable[tuple[int, float]]) -> Iterator[SeedMatches]:
    for seed, weight in interests:
        yield SeedMatches(seed, weight, *context.models.similar(context.catalogue, seed, context.config.neighbours))


SOURCE = CandidateSource(
    name="similar",
    weight=0.1,
    sentence=Sentence("like something you looked at", "like {item}"),
    generate=generate,
    needs=("neighbours", "als"),
    order=3,
)
