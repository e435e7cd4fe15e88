"""``session_knn``: items of the recent sessions that are most like this one (VMIS-kNN over trained and live sessions)."""

from __future__ import annotations

from models.session_knn import Sessions, query_of, votes
from serving.arrays import kernels
from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext, best_allowed, shrink


def generate(context: RankingContext) -> Candidates:
    """The items with most votes of the neighbour sessions; the seed is the newest interaction, which has the most weight."""
    newest = context.profile.trail
    if not newest.size:
        return NO_CANDIDATES
    voting = context.config.voting
    tail = context.signals.aggregates.sessions.tail
    live: Sessions = tail if context.profile.session is None else tail.without(context.profile.session)
    indexes = [live] if context.models.sessions is None else [context.models.sessions, live]
    voted = votes(indexes, query_of(newest, voting), voting, kernels)
    chosen = best_allowed(_with_returning(context), voted.items, voted.scores)
    shrunk = shrink(voted.scores[chosen], context.config.session_support)
    return Candidates(voted.items[chosen], shrunk, int(newest[-1]))


def _with_returning(context: RankingContext) -> RankingContext:
    if not context.revisitable.size:
        return context
    allowed = context.allowed.copy()
    allowed[context.revisitable] = True
    return context._replace(allowed=allowed)


SOURCE = CandidateSource(
    name="session_knn",
    weight=1.0,
    sentence=Sentence("others on the same path went here", "others on the same path went here from {item}"),
    generate=generate,
    order=5,
)
