"""The blend: each source's scores, 0 to 1, times the source's weight, summed; what is disliked is taken off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats, Ints
from serving.scene import NOBODY, Part, Scene


class Blend(NamedTuple):
    """C candidates: positions, total scores, and by source (S, C) what it added and the item that led there; positions rise."""

    items: Ints
    scores: Floats
    names: tuple[str, ...]
    added: Floats
    anchors: Ints


def source_weights(scene: Scene) -> dict[str, float]:
    """The sources' weights for this person.

    A stored list gives way to the fold-in as fresh events outweigh what was learned. What everybody does
    orders a stranger's list, fading with each interaction, and never that of somebody who is known.
    """
    weights = dict(scene.config.sources)
    if scene.signals.stored is not None:
        weights["list"] *= 1.0 - scene.fresh_share
        weights["fold_in"] *= scene.fresh_share
    known = 1.0 if scene.trained else min(1.0, scene.profile.events / scene.config.known_events)
    for name in ("trending", "popular"):
        weights[name] *= 1.0 - known
    return weights


def blend(scene: Scene, parts: Mapping[str, Part], weights: Mapping[str, float], averse: Part) -> Blend:
    """All candidates with their totals, in no order."""
    used = {name: found for name, found in parts.items() if found.items.size and weights.get(name, 0.0) > 0}
    named = np.zeros(len(scene.catalogue), np.bool_)
    for found in used.values():
        named[found.items] = True
    items = np.flatnonzero(named).astype(np.int32)
    column = np.empty(len(scene.catalogue), np.int32)
    column[items] = np.arange(items.size)
    added = np.zeros((len(used), items.size), np.float32)
    anchors = np.full((len(used), items.size), NOBODY, np.int32)
    for row, (name, found) in enumerate(used.items()):
        columns = column[found.items]
        added[row, columns] = found.scores * weights[name]
        anchors[row, columns] = found.anchors
    scores = added.sum(axis=0) * _noise(scene, items)
    scores -= _aversion(scene, items, averse)
    return Blend(items, scores, tuple(used), added, anchors)


def _aversion(scene: Scene, items: Ints, averse: Part) -> Floats:
    """What is taken off each candidate's score, shape (C,)."""
    if not averse.items.size:
        return np.zeros(items.size, np.float32)
    taken = np.zeros(len(scene.catalogue), np.float32)
    taken[averse.items] = averse.scores * scene.config.aversion
    return taken[items]


def _noise(scene: Scene, items: Ints) -> Floats:
    """Factors around 1, drawn for each item from the request's seed; 1 without a seed, shape (C,)."""
    if not scene.asked.seed or not scene.config.exploration:
        return np.ones(items.size, np.float32)
    drawn = _mixed(scene.catalogue.column("hash")[items].astype(np.uint64) + np.uint64(scene.asked.seed))
    spread = (drawn >> np.uint64(40)).astype(np.float32) / np.float32(2**23) - 1.0
    noise: Floats = (1.0 + scene.config.exploration * spread).astype(np.float32)
    return noise


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): the same draw for the same item and seed in every process."""
    with np.errstate(over="ignore"):
        x = x * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
