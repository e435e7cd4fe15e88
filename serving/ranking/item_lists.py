"""Item lists that do not depend on the user: popular, trending, latest, and near one item. Pure, as ``recommend``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import numpy as np

from models.source_weights import SourceWeight
from models.structures.arrays import Floats, Ints
from schemas.answers import SourceOutcome
from serving.ranking import blend
from serving.ranking.candidates.covisitation import covisited_items, linked_items
from serving.ranking.context import (
    NO_CANDIDATES,
    Candidates,
    RankingContext,
    SeedMatches,
    max_normalize,
    sum_by_item,
)
from serving.ranking.pipeline import RankedList, build_list
from serving.state.recent_items import newest
from signals.kinds.baskets import HALF_LIFE

ItemList = Literal["popular", "trending", "latest"]
Near = Literal["similar", "together", "bought"]
_SIMILAR_WEIGHTS: Final = {
    "similar": SourceWeight(1.0),
    "covisitation": SourceWeight(0.4),
    "content": SourceWeight(0.4),
}


def item_list(context: RankingContext, kind: ItemList) -> RankedList:
    """The popular, trending or latest items, backfilled where they are too few; scores fall from 1 by rank."""
    candidates = _ranked(_order(kind, context)[: context.candidate_limit])
    blended = blend.blend(context, {kind: candidates}, {kind: SourceWeight(1.0)}, NO_CANDIDATES)
    return build_list(context, blended, {kind: SourceOutcome("ok", candidates.items.size)})


def similar_items(context: RankingContext, position: int) -> RankedList:
    """The items similar to the one at a position, by model, co-visits and text; never the item itself."""
    context.allowed[position] = False
    candidates = _similar_candidates(context, position)
    blended = blend.blend(context, candidates, _SIMILAR_WEIGHTS, NO_CANDIDATES)
    return build_list(context, blended, {name: SourceOutcome("ok", own.items.size) for name, own in candidates.items()})


def covisited_with(context: RankingContext, position: int) -> RankedList:
    """The items most often visited after the one at a position, best score first; never the item itself."""
    return _linked("covisitation", position, covisited_items(context, [(position, 1.0)]), context)


def bought_with(context: RankingContext, position: int) -> RankedList:
    """The items put in one basket, playlist or collection with this one, best score first; never the item itself."""
    return _linked(
        "bought_together",
        position,
        linked_items(context, [(position, 1.0)], context.signals.aggregates.companions, HALF_LIFE),
        context,
    )


NEAR: Final = {"similar": similar_items, "together": covisited_with, "bought": bought_with}
"""The ranking of each route that lists items near one item."""


def _linked(name: str, position: int, matches: Iterable[SeedMatches], context: RankingContext) -> RankedList:
    context.allowed[position] = False
    candidates = sum_by_item(context, matches)
    blended = blend.blend(context, {name: candidates}, {name: SourceWeight(1.0)}, NO_CANDIDATES)
    return build_list(context, blended, {name: SourceOutcome("ok", candidates.items.size)})


def _similar_candidates(context: RankingContext, position: int) -> dict[str, Candidates]:
    by_model = context.models.similar(
        context.catalogue, position, max(context.config.neighbours, context.candidate_limit)
    )
    text_items, text_scores = context.catalogue.text.alike(position, context.candidate_limit)
    return {
        "similar": _near(context, position, by_model.items, by_model.scores),
        "covisitation": sum_by_item(context, covisited_items(context, [(position, 1.0)])),
        "content": _near(context, position, text_items, text_scores),
    }


def _near(context: RankingContext, position: int, items: Ints, scores: Floats) -> Candidates:
    return sum_by_item(context, [SeedMatches(position, 1.0, items, max_normalize(scores))])


def _order(kind: ItemList, context: RankingContext) -> Ints:
    """The allowed positions in the order of this list."""
    if kind == "latest":
        return newest(context.catalogue, np.flatnonzero(context.allowed).astype(np.int32), context.candidate_limit)
    order = context.signals.aggregates.trending if kind == "trending" else context.signals.aggregates.popular
    order = order if order.size else context.models.popular.items
    return order[context.allowed[order]]


def _ranked(items: Ints) -> Candidates:
    scores: Floats = (1.0 - np.arange(items.size) / max(1, items.size)).astype(np.float32)
    return Candidates(items, scores)
