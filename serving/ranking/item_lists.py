"""Lists that are about everybody or about one item: popular, trending, latest, similar. Pure, as ``recommend``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import numpy as np

from models.source_weights import Weight
from models.structures.arrays import Floats, Ints
from schemas.answers import Asked, SourceOutcome
from serving.config import RankingConfig
from serving.ranking import blend
from serving.ranking.candidates import new
from serving.ranking.candidates.covisitation import following, linked
from serving.ranking.context import NOTHING, Lead, Part, Scene, Signals, gathered, scaled
from serving.ranking.pipeline import Ranked, compose, finish
from serving.state.catalogue import Catalogue
from serving.state.model_bundle import Models
from signals.baskets import HALF_LIFE

Shelf = Literal["popular", "trending", "latest"]
Near = Literal["similar", "together", "bought"]
_SIMILAR_WEIGHTS: Final = {"similar": Weight(1.0), "next": Weight(0.4), "text": Weight(0.4)}


def shelf(
    kind: Shelf, asked: Asked, signals: Signals, models: Models, catalogue: Catalogue, config: RankingConfig
) -> Ranked:
    """A shelf in its own order, filled up where it is short; scores fall from 1 by rank."""
    scene = compose(asked, signals, models, catalogue, config)
    found = _ranked(_order(kind, scene)[: scene.reach])
    blended = blend.blend(scene, {kind: found}, {kind: Weight(1.0)}, NOTHING)
    return finish(scene, blended, {kind: SourceOutcome("ok", found.items.size)})


def similar_items(
    at: int, asked: Asked, signals: Signals, models: Models, catalogue: Catalogue, config: RankingConfig
) -> Ranked:
    """What is like the item at a position: by the model, by what people went on to, by its texts; never itself."""
    scene = compose(asked, signals, models, catalogue, config)
    scene.allowed[at] = False
    parts = _similar_parts(scene, at)
    blended = blend.blend(scene, parts, _SIMILAR_WEIGHTS, NOTHING)
    return finish(scene, blended, {name: SourceOutcome("ok", found.items.size) for name, found in parts.items()})


def together(
    at: int, asked: Asked, signals: Signals, models: Models, catalogue: Catalogue, config: RankingConfig
) -> Ranked:
    """What the people who were at this item went on to, those first of which that is truest; never itself."""
    scene = compose(asked, signals, models, catalogue, config)
    return _linked("next", at, following(scene, [(at, 1.0)]), scene)


def bought(
    at: int, asked: Asked, signals: Signals, models: Models, catalogue: Catalogue, config: RankingConfig
) -> Ranked:
    """What people put in one basket, playlist or collection with this item, in the same order; never itself."""
    scene = compose(asked, signals, models, catalogue, config)
    return _linked("together", at, linked(scene, [(at, 1.0)], signals.population.companions, HALF_LIFE), scene)


NEAR: Final = {"similar": similar_items, "together": together, "bought": bought}
"""What is near an item, by route."""


def _linked(name: str, at: int, found: Iterable[Lead], scene: Scene) -> Ranked:
    scene.allowed[at] = False
    part = gathered(scene, found)
    blended = blend.blend(scene, {name: part}, {name: Weight(1.0)}, NOTHING)
    return finish(scene, blended, {name: SourceOutcome("ok", part.items.size)})


def _similar_parts(scene: Scene, at: int) -> dict[str, Part]:
    by_model = scene.models.similar(scene.catalogue, at, max(scene.config.neighbours, scene.reach))
    text_items, text_scores = scene.catalogue.text.alike(at, scene.reach)
    return {
        "similar": _near(scene, at, by_model.items, by_model.scores),
        "next": gathered(scene, following(scene, [(at, 1.0)])),
        "text": _near(scene, at, text_items, text_scores),
    }


def _near(scene: Scene, at: int, items: Ints, scores: Floats) -> Part:
    return gathered(scene, [Lead(at, 1.0, items, scaled(scores))])


def _order(kind: Shelf, scene: Scene) -> Ints:
    """Allowed positions in the shelf's order."""
    if kind == "latest":
        return new.newest(scene.catalogue, np.flatnonzero(scene.allowed).astype(np.int32), scene.reach)
    order = scene.signals.population.trending if kind == "trending" else scene.signals.population.popular
    order = order if order.size else scene.models.popular.items
    return order[scene.allowed[order]]


def _ranked(items: Ints) -> Part:
    scores: Floats = (1.0 - np.arange(items.size) / max(1, items.size)).astype(np.float32)
    return Part(items, scores)
