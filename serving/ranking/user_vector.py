"""The factors of a user at this moment: the trained ones, mixed with those folded in from the newest events."""

from __future__ import annotations

from models.structures.arrays import Floats
from serving.ranking.context import RankingContext


def user_vector(context: RankingContext) -> Floats | None:
    """The user's factors now, shape (d,); None without a model, or where nothing is known about the user.

    Folding in is one half step of ALS over the weighted interests. ``RankingContext.fresh_share`` is the share of
    the folded-in factors in the mix.
    """
    als = context.models.als
    if als is None:
        return None
    trained = als.vector(context.request.user_id) if context.request.user_id is not None else None
    interests = context.interests
    share = context.fresh_share
    if trained is not None and (share == 0.0 or not interests):
        return trained
    if not interests:
        return None
    folded = als.fold_in(interests)
    return folded if trained is None else (1.0 - share) * trained + share * folded
