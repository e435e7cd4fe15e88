"""``trending_in_context``: trending items of the request's country, device and hour of the day."""

from __future__ import annotations

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext, first_allowed, rank_buckets
from signals.kinds.context import hour_label
from signals.users import DIMENSIONS


def generate(context: RankingContext) -> Candidates:
    """Items that trend under all of these labels, by rank bucket; none where the request has neither country nor device."""
    request = context.request
    labels = [f"{name}:{request.context[name]}" for name in DIMENSIONS if name in request.context]
    if not labels:
        return NO_CANDIDATES
    items = context.signals.aggregates.contexts.trending([*labels, hour_label(request.now)])
    return rank_buckets(items[first_allowed(context, items)])


SOURCE = CandidateSource(
    name="trending_in_context",
    weight=0.2,
    sentence=Sentence("trending where you are"),
    generate=generate,
    scope="everybody",
    order=14,
)
