"""Explanations of a user and an item, and users similar to a user: pure functions of a ranking context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from models.ratings import Ratings
from schemas.answers import Reason
from schemas.http.read_answers import Contribution, SimilarUser
from serving.arrays.top_k import top_k
from serving.ranking import scoring
from serving.ranking.context import RankingContext, max_normalize
from serving.ranking.pipeline import recommend
from serving.ranking.user_vector import user_vector

_SMALLEST_SHARE: Final = 0.01


def contributions(context: RankingContext, position: int) -> list[Contribution]:
    """The user's items that contribute to the score of the item at a position, largest share first; shares sum to about 1.

    These are the exact contributions to the folded-in score (Hu, Koren, Volinsky, ICDM 2008, section 5) where the model
    knows the item, else similarity and co-visits. Negative contributions are left out.
    """
    by_position = _model_contributions(context, position) or _similarities(context, position)
    total = sum(by_position.values())
    ids = context.catalogue.ids
    shares = [Contribution(ids[own], score / total) for own, score in by_position.items()] if total > 0 else []
    return sorted((own for own in shares if own.share >= _SMALLEST_SHARE), key=lambda own: -own.share)


class Suitability(NamedTuple):
    """How well an item suits a user."""

    score: float
    percentile: float
    """Place among visible items, 0 to 1."""
    reasons: list[Reason]
    because: list[Contribution]


def compatibility(context: RankingContext, position: int) -> Suitability:
    """How well an item suits a user: score, percentile among visible items, reasons and contributions."""
    return Suitability(
        score=scoring.scores(context, [context.catalogue.ids[position]])[0],
        percentile=_percentile(context, position),
        reasons=_reasons(context, position),
        because=contributions(context, position),
    )


def predicted_ratings(context: RankingContext, ratings: Ratings, item_ids: Sequence[str]) -> list[float]:
    """The predicted rating of each of these items, from the ratings of the user."""
    own = {
        entry.item: entry.value
        for entry in context.signals.user.recent
        if entry.type == "rating" and entry.value is not None and context.config.rating_scale.holds(entry.value)
    }
    predicted: list[float] = ratings.predict(own, item_ids).tolist()
    return predicted


def similar_users(context: RankingContext, count: int) -> list[SimilarUser]:
    """The trained users with the greatest cosine to the user's factors, greatest first; none for a cold-start user."""
    als, vector = context.models.als, user_vector(context)
    if als is None or vector is None or not als.user_ids:
        return []
    lengths = np.sqrt(np.einsum("ud,ud->u", als.user_factors, als.user_factors)) * np.linalg.norm(vector)
    cosines = (als.user_factors @ vector) / np.maximum(lengths, np.finfo(np.float32).tiny)
    order = top_k(cosines, count + 1, np.arange(cosines.size, dtype=np.uint32))
    near = [SimilarUser(als.user_ids[row], float(cosines[row])) for row in order.tolist()]
    return [other for other in near if other.user_id != context.request.user_id][:count]


def _model_contributions(context: RankingContext, position: int) -> dict[int, float]:
    ids, als = context.catalogue.ids, context.models.als
    if als is None:
        return {}
    weights = {ids[own]: weight for own, weight in context.profile.weights.items() if own != position}
    scores = als.contributions(weights, ids[position])
    return {own: scores[ids[own]] for own in context.profile.weights if scores.get(ids[own], 0.0) > 0}


def _similarities(context: RankingContext, position: int) -> dict[int, float]:
    scores: dict[int, float] = {}
    for own, weight in context.profile.weights.items():
        similar = context.models.similar(context.catalogue, own, context.config.neighbours)
        followers = context.signals.aggregates.followers(own)
        similarity = max_normalize(similar.scores)[similar.items == position].sum()
        covisited = followers is not None and bool((followers.items == position).any())
        if own != position and (similarity > 0 or covisited):
            scores[own] = weight * float(similarity or context.config.sources.get("covisitation", 0.0))
    return scores


def _percentile(context: RankingContext, position: int) -> float:
    """The share of visible items with a lower score, and half of those with an equal score; of a large catalogue, of a sample."""
    sample = context.catalogue.sample(context.request.now)
    others = sample[sample != position]
    ids = context.catalogue.ids
    scores = np.array(scoring.scores(context, [ids[other] for other in (*others.tolist(), position)]), np.float32)
    below = (scores[:-1] < scores[-1]).sum() + 0.5 * (scores[:-1] == scores[-1]).sum()
    return float(below / others.size) if others.size else 1.0


def _reasons(context: RankingContext, position: int) -> list[Reason]:
    """The reasons that the item would have if no other item were eligible."""
    request = msgspec.structs.replace(
        context.request, include=(context.catalogue.ids[position],), include_seen=True, count=1
    )
    ranked = recommend(request, context.signals, context.models, context.catalogue, context.config)
    return ranked.items[0].reasons if ranked.items and not ranked.backfilled else []
