"""Lists that are about everybody or about one item: popular, trending, latest, similar. Pure, as ``recommend``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import numpy as np

from models.source_weights import Weight
from models.structures.arrays import Floats, Ints
from schemas.answers import RecommendationRequest, SourceOutcome
from serving.ranking import blend
from serving.ranking.candidates.covisitation import covisited_items, linked_items
from serving.ranking.config import RankingConfig
from serving.ranking.context import (
    NO_CANDIDATES,
    Candidates,
    RankingContext,
    SeedMatches,
    Signals,
    max_normalize,
    sum_by_item,
)
from serving.ranking.pipeline import RankedList, build_context, build_list
from serving.state.catalogue import Catalogue
from serving.state.model_bundle import ModelBundle
from serving.state.recent_items import newest
from signals.baskets import HALF_LIFE

ItemList = Literal["popular", "trending", "latest"]
Near = Literal["similar", "together", "bought"]
_SIMILAR_WEIGHTS: Final = {"similar": Weight(1.0), "next": Weight(0.4), "text": Weight(0.4)}


def item_list(
    kind: ItemList,
    request: RecommendationRequest,
    signals: Signals,
    models: ModelBundle,
    catalogue: Catalogue,
    config: RankingConfig,
) -> RankedList:
    """What is popular, trending or latest, backfilled where it is short; scores fall from 1 by rank."""
    context = build_context(request, signals, models, catalogue, config)
    found = _ranked(_order(kind, context)[: context.candidate_limit])
    blended = blend.blend(context, {kind: found}, {kind: Weight(1.0)}, NO_CANDIDATES)
    return build_list(context, blended, {kind: SourceOutcome("ok", found.items.size)})


def similar_items(
    at: int,
    request: RecommendationRequest,
    signals: Signals,
    models: ModelBundle,
    catalogue: Catalogue,
    config: RankingConfig,
) -> RankedList:
    """What is like the item at a position: by the model, by what people went on to, by its texts; never itself."""
    context = build_context(request, signals, models, catalogue, config)
    context.allowed[at] = False
    parts = _similar_parts(context, at)
    blended = blend.blend(context, parts, _SIMILAR_WEIGHTS, NO_CANDIDATES)
    return build_list(context, blended, {name: SourceOutcome("ok", found.items.size) for name, found in parts.items()})


def together(
    at: int,
    request: RecommendationRequest,
    signals: Signals,
    models: ModelBundle,
    catalogue: Catalogue,
    config: RankingConfig,
) -> RankedList:
    """What the people who were at this item went on to, those first of which that is truest; never itself."""
    context = build_context(request, signals, models, catalogue, config)
    return _linked("next", at, covisited_items(context, [(at, 1.0)]), context)


def bought(
    at: int,
    request: RecommendationRequest,
    signals: Signals,
    models: ModelBundle,
    catalogue: Catalogue,
    config: RankingConfig,
) -> RankedList:
    """What people put in one basket, playlist or collection with this item, in the same order; never itself."""
    context = build_context(request, signals, models, catalogue, config)
    return _linked(
        "together", at, linked_items(context, [(at, 1.0)], signals.aggregates.companions, HALF_LIFE), context
    )


NEAR: Final = {"similar": similar_items, "together": together, "bought": bought}
"""What is near an item, by route."""


def _linked(name: str, at: int, found: Iterable[SeedMatches], context: RankingContext) -> RankedList:
    context.allowed[at] = False
    part = sum_by_item(context, found)
    blended = blend.blend(context, {name: part}, {name: Weight(1.0)}, NO_CANDIDATES)
    return build_list(context, blended, {name: SourceOutcome("ok", part.items.size)})


def _similar_parts(context: RankingContext, at: int) -> dict[str, Candidates]:
    by_model = context.models.similar(context.catalogue, at, max(context.config.neighbours, context.candidate_limit))
    text_items, text_scores = context.catalogue.text.alike(at, context.candidate_limit)
    return {
        "similar": _near(context, at, by_model.items, by_model.scores),
        "next": sum_by_item(context, covisited_items(context, [(at, 1.0)])),
        "text": _near(context, at, text_items, text_scores),
    }


def _near(context: RankingContext, at: int, items: Ints, scores: Floats) -> Candidates:
    return sum_by_item(context, [SeedMatches(at, 1.0, items, max_normalize(scores))])


def _order(kind: ItemList, context: RankingContext) -> Ints:
    """Allowed positions in the list's own order."""
    if kind == "latest":
        return newest(context.catalogue, np.flatnonzero(context.allowed).astype(np.int32), context.candidate_limit)
    order = context.signals.aggregates.trending if kind == "trending" else context.signals.aggregates.popular
    order = order if order.size else context.models.popular.items
    return order[context.allowed[order]]


def _ranked(items: Ints) -> Candidates:
    scores: Floats = (1.0 - np.arange(items.size) / max(1, items.size)).astype(np.float32)
    return Candidates(items, scores)
