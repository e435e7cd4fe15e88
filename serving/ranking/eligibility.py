"""Which items may be recommended: decided once for each request, before any candidate source is called."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Bools, Ints
from schemas.answers import RecommendationRequest
from serving.filtering.expressions import compiled
from serving.ranking.config import RankingConfig
from serving.state.catalogue import Catalogue
from signals import bloom
from signals.bloom import Bloom
from signals.users import UserValue

_ANY: Final = "*"


def eligible_positions(request: RecommendationRequest, catalogue: Catalogue) -> Bools:
    """True for the positions (n,) that are visible now, match the request, and were not excluded or shown before."""
    eligible = catalogue.all_visible(request.now)
    if request.include:
        included = np.zeros_like(eligible)
        included[catalogue.positions(request.include)] = True
        eligible &= included
    if request.categories:
        eligible &= catalogue.in_categories(request.categories)
    if request.filter:
        eligible &= compiled(request.filter).holds(request, catalogue.fields)
    if request.exclude:
        eligible[catalogue.positions(request.exclude)] = False
    if request.shown_hashes:
        eligible &= ~np.isin(catalogue.column("hash"), np.frombuffer(request.shown_hashes, "<u4"))
    return eligible


def hide_seen(
    eligible: Bools, request: RecommendationRequest, user: UserValue, catalogue: Catalogue, config: RankingConfig
) -> None:
    """Set ``eligible`` (n,) to False, in place, for the items that the user has seen and that are still hidden."""
    if request.include_seen or not config.hide_seen:
        return
    eligible[catalogue.positions(_hidden_items(request, user, config))] = False
    if (user.past.newer or user.past.older) and config.seen_for.get(_ANY) is None:
        eligible[seen_long_ago(user.past, catalogue.column("hash"))] = False


def seen_long_ago(past: Bloom, hashes: NDArray[np.uint32]) -> Ints:
    """Positions whose hash (n,) the Bloom filter contains (``signals.bloom.holds``)."""
    contained = [_contained(bits, hashes) for bits in (past.newer, past.older) if bits]
    return np.concatenate([*contained, np.empty(0, np.int64)]).astype(np.int32)


def _contained(bits: bytes, hashes: NDArray[np.uint32]) -> NDArray[np.int64]:
    set_bits = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little").astype(bool)
    positions = np.arange(hashes.size)
    for multiplier in bloom.MULTIPLIERS:
        positions = positions[set_bits[hashes[positions] * np.uint32(multiplier) >> np.uint32(bloom.SHIFT)]]
    return positions


def _hidden_items(request: RecommendationRequest, user: UserValue, config: RankingConfig) -> Iterable[str]:
    """The seen items that are still hidden, by the type and age of their event."""
    if not config.seen_for:
        return user.seen
    limits = {kind: math.inf if limit is None else limit for kind, limit in config.seen_for.items()}
    typed = {entry.item for entry in user.recent}
    recent = {entry.item for entry in user.recent if request.now - entry.at < limits.get(entry.type, math.inf)}
    older = limits.get(_ANY, math.inf)
    return recent.union(
        item for item, seen_at in user.seen.items() if item not in typed and request.now - seen_at < older
    )
