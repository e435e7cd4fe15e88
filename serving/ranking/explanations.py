"""A user and an item, a user and other users: what led where, how well they suit each other, who is alike. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from models.ratings import Ratings
from models.structures.arrays import Floats
from schemas.answers import Reason
from serving.arrays.top_k import top_k
from serving.ranking import scoring
from serving.ranking.context import RankingContext, max_normalize
from serving.ranking.pipeline import recommend
from serving.ranking.user_vector import user_vector

_SMALLEST_SHARE: Final = 0.01


class Led(NamedTuple):
    """One of the person's own items with its share in what led to another, 0 to 1."""

    item_id: str
    share: float


def because(context: RankingContext, at: int) -> list[Led]:
    """Which of the person's items led to the one at a position, largest share first; the shares sum to about 1.

    By the exact contributions to the folded-in score (Hu, Koren, Volinsky, ICDM 2008, section 5) where the model knows the
    item, else by likeness and by what others went on to. What speaks against the item is left out.
    """
    found = _contributions(context, at) or _likeness(context, at)
    total = sum(found.values())
    shares = [Led(context.catalogue.ids[each], share / total) for each, share in found.items()] if total > 0 else []
    return sorted((each for each in shares if each.share >= _SMALLEST_SHARE), key=lambda each: -each.share)


def compatibility(context: RankingContext, at: int) -> dict[str, Any]:
    """How well an item suits a person: score, the share of the shop that suits less, and the reasons."""
    return {
        "score": scoring.scores(context, [context.catalogue.ids[at]])[0],
        "percentile": _percentile(context, at),
        "reasons": _reasons(context, at),
        "because": [each._asdict() for each in because(context, at)],
    }


def predicted_ratings(context: RankingContext, ratings: Ratings, item_ids: Sequence[str]) -> list[float]:
    """The stars that the person would give to each of these items, by the ratings given so far."""
    own = {e.item: e.value for e in context.signals.user.recent if e.type == "rating" and e.value is not None}
    predicted: list[float] = ratings.predict(own, item_ids).tolist()
    return predicted


def similar_users(context: RankingContext, count: int) -> list[dict[str, Any]]:
    """The trained users nearest to the person by cosine of factors, nearest first; none where nothing is known."""
    als, vector = context.models.als, user_vector(context)
    if als is None or vector is None or not als.user_ids:
        return []
    lengths = np.sqrt(np.einsum("ud,ud->u", als.user_factors, als.user_factors)) * np.linalg.norm(vector)
    cosines = (als.user_factors @ vector) / np.maximum(lengths, np.finfo(np.float32).tiny)
    order = top_k(cosines, count + 1, np.arange(cosines.size, dtype=np.uint32))
    near = [{"user_id": als.user_ids[row], "score": float(cosines[row])} for row in order.tolist()]
    return [each for each in near if each["user_id"] != context.request.user_id][:count]


def _contributions(context: RankingContext, at: int) -> dict[int, float]:
    ids, als = context.catalogue.ids, context.models.als
    if als is None:
        return {}
    weights = {ids[each]: weight for each, weight in context.profile.weights.items() if each != at}
    found = als.contributions(weights, ids[at])
    return {each: found[ids[each]] for each in context.profile.weights if found.get(ids[each], 0.0) > 0}


def _likeness(context: RankingContext, at: int) -> dict[int, float]:
    found: dict[int, float] = {}
    for each, weight in context.profile.weights.items():
        alike = context.models.similar(context.catalogue, each, context.config.neighbours)
        followers = context.signals.aggregates.followers(each)
        near = max_normalize(alike.scores)[alike.items == at].sum()
        after = followers is not None and bool((followers.items == at).any())
        if each != at and (near > 0 or after):
            found[each] = weight * float(near or context.config.sources.get("next", 0.0))
    return found


def _percentile(context: RankingContext, at: int) -> float:
    """The share of visible items that suit the person less, half of those that suit as well included."""
    visible = np.flatnonzero(context.catalogue.all_visible(context.request.now))
    ids = context.catalogue.ids
    scores = np.array(scoring.scores(context, [ids[each] for each in (*visible.tolist(), at)]), np.float32)
    others: Floats = scores[:-1][visible != at]
    below = (others < scores[-1]).sum() + 0.5 * (others == scores[-1]).sum()
    return float(below / others.size) if others.size else 1.0


def _reasons(context: RankingContext, at: int) -> list[Reason]:
    """Why the item would be recommended if it were the only one."""
    request = msgspec.structs.replace(context.request, include=(context.catalogue.ids[at],), seen=True, count=1)
    ranked = recommend(request, context.signals, context.models, context.catalogue, context.config)
    return ranked.items[0].reasons if ranked.items and not ranked.backfilled else []
