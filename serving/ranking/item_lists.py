"""Lists that are about everybody or about one item: popular, trending, latest, similar. Pure, as ``recommend``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import numpy as np

from models.source_weights import Weight
from models.structures.arrays import Floats, Ints
from schemas.answers import RecommendationRequest, SourceOutcome
from serving.config import RankingConfig
from serving.ranking import blend
from serving.ranking.candidates import new
from serving.ranking.candidates.covisitation import following, linked
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
from signals.baskets import HALF_LIFE

Shelf = Literal["popular", "trending", "latest"]
Near = Literal["similar", "together", "bought"]
_SIMILAR_WEIGHTS: Final = {"similar": Weight(1.0), "next": Weight(0.4), "text": Weight(0.4)}


def shelf(
    kind: Shelf,
    asked: RecommendationRequest,
    signals: Signals,
    models: ModelBundle,
    catalogue: Catalogue,
    config: RankingConfig,
) -> RankedList:
    """A shelf in its own order, filled up where it is short; scores fall from 1 by rank."""
    scene = build_context(asked, signals, models, catalogue, config)
    found = _ranked(_order(kind, scene)[: scene.reach])
    blended = blend.blend(scene, {kind: found}, {kind: Weight(1.0)}, NO_CANDIDATES)
    return build_list(scene, blended, {kind: SourceOutcome("ok", found.items.size)})


def similar_items(
    at: int,
    asked: RecommendationRequest,
    signals: Signals,
    models: ModelBundle,
    catalogue: Catalogue,
    config: RankingConfig,
) -> RankedList:
    """What is like the item at a position: by the model, by what people went on to, by its texts; never itself."""
    scene = build_context(asked, signals, models, catalogue, config)
    scene.allowed[at] = False
    parts = _similar_parts(scene, at)
    blended = blend.blend(scene, parts, _SIMILAR_WEIGHTS, NO_CANDIDATES)
    return build_list(scene, blended, {name: SourceOutcome("ok", found.items.size) for name, found in parts.items()})


def together(
    at: int,
    asked: RecommendationRequest,
    signals: Signals,
    models: ModelBundle,
    catalogue: Catalogue,
    config: RankingConfig,
) -> RankedList:
    """What the people who were at this item went on to, those first of which that is truest; never itself."""
    scene = build_context(asked, signals, models, catalogue, config)
    return _linked("next", at, following(scene, [(at, 1.0)]), scene)


def bought(
    at: int,
    asked: RecommendationRequest,
    signals: Signals,
    models: ModelBundle,
    catalogue: Catalogue,
    config: RankingConfig,
) -> RankedList:
    """What people put in one basket, playlist or collection with this item, in the same order; never itself."""
    scene = build_context(asked, signals, models, catalogue, config)
    return _linked("together", at, linked(scene, [(at, 1.0)], signals.aggregates.companions, HALF_LIFE), scene)


NEAR: Final = {"similar": similar_items, "together": together, "bought": bought}
"""What is near an item, by route."""


def _linked(name: str, at: int, found: Iterable[SeedMatches], scene: RankingContext) -> RankedList:
    scene.allowed[at] = False
    part = sum_by_item(scene, found)
    blended = blend.blend(scene, {name: part}, {name: Weight(1.0)}, NO_CANDIDATES)
    return build_list(scene, blended, {name: SourceOutcome("ok", part.items.size)})


def _similar_parts(scene: RankingContext, at: int) -> dict[str, Candidates]:
    by_model = scene.models.similar(scene.catalogue, at, max(scene.config.neighbours, scene.reach))
    text_items, text_scores = scene.catalogue.text.alike(at, scene.reach)
    return {
        "similar": _near(scene, at, by_model.items, by_model.scores),
        "next": sum_by_item(scene, following(scene, [(at, 1.0)])),
        "text": _near(scene, at, text_items, text_scores),
    }


def _near(scene: RankingContext, at: int, items: Ints, scores: Floats) -> Candidates:
    return sum_by_item(scene, [SeedMatches(at, 1.0, items, max_normalize(scores))])


def _order(kind: Shelf, scene: RankingContext) -> Ints:
    """Allowed positions in the shelf's order."""
    if kind == "latest":
        return new.newest(scene.catalogue, np.flatnonzero(scene.allowed).astype(np.int32), scene.reach)
    order = scene.signals.aggregates.trending if kind == "trending" else scene.signals.aggregates.popular
    order = order if order.size else scene.models.popular.items
    return order[scene.allowed[order]]


def _ranked(items: Ints) -> Candidates:
    scores: Floats = (1.0 - np.arange(items.size) / max(1, items.size)).astype(np.float32)
    return Candidates(items, scores)
