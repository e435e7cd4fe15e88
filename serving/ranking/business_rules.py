"""What a site or a request says over the ranking: boosts by filter, and items pinned to a place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from models.structures.arrays import Floats
from schemas.answers import Boost, DecidedItem, Reason, RecommendationRequest
from serving.filtering.expressions import compiled
from serving.ranking.blend import BlendedCandidates
from serving.ranking.context import NO_SEED, RankingContext

BOOST: Final = "boost"
PIN: Final = "pin"


def attributes_of(request: RecommendationRequest, boosts: Iterable[Boost]) -> frozenset[str]:
    """The user's attributes that a request's and the site's expressions read."""
    texts = [request.filter, *(boost.filter for boost in (*boosts, *request.boosts))]
    return frozenset[str]().union(*(compiled(text).attributes for text in texts if text))


def apply_boosts(context: RankingContext, blended: BlendedCandidates) -> BlendedCandidates:
    """The blend with each candidate's score times the factors of all boosts whose filter it fulfils.

    What a factor above 1 adds is a share of its own, told as the reason ``boost``; a factor below 1 tells nothing.
    """
    boosts = (*context.config.boosts, *context.request.boosts)
    if not boosts or not blended.items.size:
        return blended
    factors = _factors(context, boosts)[blended.items]
    lowered = np.minimum(factors, 1.0)
    added = blended.added * lowered
    more = added.sum(axis=0) * np.maximum(factors - 1.0, 0.0)
    return blended._replace(
        scores=np.where(blended.scores > 0, blended.scores * factors, blended.scores),
        names=(*blended.names, BOOST),
        added=np.vstack([added, more[None]]).astype(np.float32),
        indices=np.vstack([blended.indices, np.full((1, more.size), -1, np.int32)]),
        seeds=(*blended.seeds, NO_SEED),
    )


def apply_pins(
    context: RankingContext, items: list[DecidedItem], positions: list[int]
) -> tuple[list[DecidedItem], list[int]]:
    """The list with the pinned items at their places, counted from 1 at the first page; the rest moves down.

    A pin holds over the filter and what was seen, but never shows what is hidden, excluded or on a page before. It has
    the score of the item that it pushes down, so that scores still fall.
    """
    places = _places(context)
    if not places:
        return items, positions
    kept = [(item, at) for item, at in zip(items, positions, strict=True) if at not in places]
    for at, place in sorted(places.items(), key=lambda each: each[1]):
        score = kept[min(place, len(kept)) - 1][0].score if kept else 1.0
        kept.insert(place - 1, (DecidedItem(context.catalogue.ids[at], score, [Reason(PIN, 1.0)]), at))
    kept = kept[: context.request.count]
    return [item for item, _ in kept], [at for _, at in kept]


def _places(context: RankingContext) -> Mapping[int, int]:
    """Where on this page which positions are pinned, from 1; a request's pin goes before the site's."""
    pins = {**context.config.pins, **context.request.pins}
    if not pins:
        return {}
    before = len(context.request.shown) // 4
    found = {at: place - before for item, place in pins.items() if (at := context.catalogue.position(item)) is not None}
    taken = np.array([at for at, place in found.items() if 1 <= place <= context.request.count], np.int32)
    may = context.catalogue.visible(taken, context.request.now)
    may &= ~np.isin(taken, context.catalogue.positions(context.request.exclude))
    may &= ~np.isin(context.catalogue.column("hash")[taken], np.frombuffer(context.request.shown, "<u4"))
    return {at: found[at] for at in taken[may].tolist()}


def _factors(context: RankingContext, boosts: Iterable[Boost]) -> Floats:
    """What each position's score is multiplied by, shape (n,)."""
    factors = np.ones(len(context.catalogue), np.float32)
    for boost in boosts:
        factors[compiled(boost.filter).holds(context.request, context.catalogue.fields)] *= boost.factor
    return factors
