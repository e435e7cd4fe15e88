"""Rules of a site or a request that change the ranking: boosts by filter, and items pinned to a position of the list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Final

import numpy as np

from models.structures.arrays import Floats
from schemas.answers import Boost, DecidedItem, Reason, RecommendationRequest
from serving.filtering.expressions import Expression, compiled
from serving.ranking.blend import BlendedCandidates
from serving.ranking.context import NO_SEED, RankingContext

BOOST: Final = "boost"
PIN: Final = "pin"


def attributes_of(request: RecommendationRequest, boosts: Iterable[Boost]) -> frozenset[str]:
    """The user's attributes that a request's and the site's expressions read."""
    return frozenset[str]().union(*(expression.attributes for expression in expressions_of(request, boosts)))


def expressions_of(request: RecommendationRequest, boosts: Iterable[Boost]) -> list[Expression]:
    """The request's filter, and the filters of the site's and the request's boosts."""
    texts = [request.filter, *(boost.filter for boost in (*boosts, *request.boosts))]
    return [compiled(text) for text in texts if text]


def apply_boosts(context: RankingContext, blended: BlendedCandidates) -> BlendedCandidates:
    """The blend with each score multiplied by the factors of all boosts whose filter matches the candidate.

    The amount that a factor above 1 adds has the reason ``boost``. A factor below 1 gives no reason.
    """
    boosts = (*context.config.boosts, *context.request.boosts)
    if not boosts or not blended.items.size:
        return blended
    factors = _factors(context, boosts)[blended.items]
    lowered = np.minimum(factors, 1.0)
    added = blended.added * lowered
    boost_shares = added.sum(axis=0) * np.maximum(factors - 1.0, 0.0)
    return blended._replace(
        scores=np.where(blended.scores > 0, blended.scores * factors, blended.scores),
        names=(*blended.names, BOOST),
        added=np.vstack([added, boost_shares[None]]).astype(np.float32),
        indices=np.vstack([blended.indices, np.full((1, boost_shares.size), -1, np.int32)]),
        seeds=(*blended.seeds, NO_SEED),
    )


def apply_pins(
    context: RankingContext, items: list[DecidedItem], positions: list[int]
) -> tuple[list[DecidedItem], list[int]]:
    """The list with the pinned items inserted at their ranks, counted from 1 at the first page; later items move down.

    A pin ignores the filter and the history of the user. It never shows a hidden or excluded item, or one of an earlier
    page. Its score is that of the item that it moves down, so scores still fall.
    """
    pinned_ranks = _pinned_ranks(context)
    if not pinned_ranks:
        return items, positions
    entries = [pair for pair in zip(items, positions, strict=True) if pair[1] not in pinned_ranks]
    for position, rank in sorted(pinned_ranks.items(), key=itemgetter(1)):
        score = entries[min(rank, len(entries)) - 1][0].score if entries else 1.0
        pinned = DecidedItem(context.catalogue.ids[position], score, [Reason(PIN, 1.0)])
        entries.insert(rank - 1, (pinned, position))
    entries = entries[: context.request.count]
    return [item for item, _ in entries], [position for _, position in entries]


def _pinned_ranks(context: RankingContext) -> Mapping[int, int]:
    """By catalogue position, the rank on this page (from 1) of each pinned item; a request's pin overrides the site's."""
    pins = {**context.config.pins, **context.request.pins}
    if not pins:
        return {}
    catalogue, request = context.catalogue, context.request
    before = len(request.shown_hashes) // 4
    ranks = {index: rank - before for item, rank in pins.items() if (index := catalogue.position(item)) is not None}
    on_page = np.array([position for position, rank in ranks.items() if 1 <= rank <= request.count], np.int32)
    eligible = catalogue.visible(on_page, request.now)
    eligible &= ~np.isin(on_page, catalogue.positions(request.exclude))
    eligible &= ~np.isin(catalogue.column("hash")[on_page], np.frombuffer(request.shown_hashes, "<u4"))
    return {position: ranks[position] for position in on_page[eligible].tolist()}


def _factors(context: RankingContext, boosts: Iterable[Boost]) -> Floats:
    """The factor on the score of each position, shape (n,)."""
    factors = np.ones(len(context.catalogue), np.float32)
    for boost in boosts:
        factors[compiled(boost.filter).holds(context.request, context.catalogue.fields)] *= boost.factor
    return factors
