"""``similar``: what is most like the person's strongest interests, by the model's neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext, SeedMatches, max_normalize, sum_by_item


def generate(context: RankingContext) -> Candidates:
    """Similar items of the strongest interests, each weighed by its interest."""
    interests = islice(context.profile.weights.items(), context.config.seeds)
    found = sum_by_item(context, _neighbours(context, interests))
    return found._replace(scores=max_normalize(found.scores))


def negative_feedback(context: RankingContext) -> Candidates:
    """What is most like items that the person said no to; taken off the score, never shown as a reason."""
    if not context.profile.disliked:
        return NO_CANDIDATES
    disliked = context.profile.disliked[: context.config.seeds]
    found = sum_by_item(context, _neighbours(context, ((at, 1.0) for at in disliked)))
    return found._replace(scores=max_normalize(found.scores))


def _neighbours(context: RankingContext, interests: Iterable[tuple[int, float]]) -> Iterator[SeedMatches]:
    for at, weight in interests:
        yield SeedMatches(at, weight, *context.models.similar(context.catalogue, at, context.config.neighbours))


SOURCE = CandidateSource(
    name="similar",
    weight=0.1,
    sentence=Sentence("like something you looked at", "like {item}"),
    generate=generate,
    needs=("neighbours", "als"),
    order=3,
)
