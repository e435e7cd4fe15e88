"""``session``: what went on in the recent sessions that are most like this one (VMIS-kNN over last night's and live ones)."""

from __future__ import annotations

from models.session_knn import Sessions, query_of, votes
from serving.arrays import kernels
from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext, best_allowed, shrink


def candidates(scene: RankingContext) -> Candidates:
    """The items with most votes of the neighbours; led to by the newest interaction, which weighs most in finding them."""
    newest = scene.profile.trail
    if not newest.size:
        return NO_CANDIDATES
    voting = scene.config.voting
    tail = scene.signals.aggregates.sessions.tail
    live: Sessions = tail if scene.profile.session is None else tail.without(scene.profile.session)
    indexes = [live] if scene.models.sessions is None else [scene.models.sessions, live]
    found = votes(indexes, query_of(newest, voting), voting, kernels)
    chosen = best_allowed(_with_returning(scene), found.items, found.scores)
    told = shrink(found.scores[chosen], scene.config.session_support)
    return Candidates(found.items[chosen], told, int(newest[-1]))


def _with_returning(scene: RankingContext) -> RankingContext:
    if not scene.returning.size:
        return scene
    allowed = scene.allowed.copy()
    allowed[scene.returning] = True
    return scene._replace(allowed=allowed)
