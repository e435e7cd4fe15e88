"""What a source of candidates sees, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from math import inf
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Floats, Ints, score_thresholds
from schemas.answers import RecommendationRequest
from serving.arrays import kernels
from serving.filtering.fields import Bools
from serving.ranking.config import RankingConfig
from serving.ranking.user_profile import Profile
from serving.state.aggregates import Aggregates
from serving.state.catalogue import Catalogue
from serving.state.model_bundle import ModelBundle, ScoredPositions
from signals.users import UserValue

NO_SEED: Final = -1
"""The anchor of a candidate that no single item led to."""
_MANY: Final = 10_000
"""Scores from which on it pays to look for a floor first."""
_SPARE: Final = 64
"""Candidates beyond those wanted, for some of the best may not be allowed."""


class Signals(NamedTuple):
    """What is known at this moment: the person's value, everybody's aggregates, the person's precomputed list."""

    user: UserValue
    aggregates: Aggregates
    stored: ScoredPositions | None = None


class RankingContext(NamedTuple):
    """One request with all that bears on it. ``allowed`` (n,) says which positions may be recommended."""

    request: RecommendationRequest
    profile: Profile
    signals: Signals
    models: ModelBundle
    catalogue: Catalogue
    config: RankingConfig
    allowed: Bools
    reach: int
    returning: Ints
    """Positions (R,) that the session was at and may be shown again, newest first: only two sources propose these."""

    @property
    def trained(self) -> bool:
        """Whether the model knows this person."""
        als, user_id = self.models.als, self.request.user_id
        known = als is not None and user_id is not None and als.vector(user_id) is not None
        return known or bool(self.signals.stored and self.signals.stored.items.size)

    @property
    def fresh_share(self) -> float:
        """How far what the person did since training outweighs what was learned: 0 to 1; 1 for a stranger."""
        if not self.trained:
            return 1.0
        return self.profile.fresh / (self.profile.fresh + self.config.mix)


Led = Callable[[Ints], Ints]
"""The item that led to each of some of a source's candidates, or NOBODY; asked by their places, none below 0, shape (C,)."""


class Candidates(NamedTuple):
    """One source's candidates: distinct positions (C,), scores 0 to 1 (C,), and which item led to them."""

    items: Ints
    scores: Floats
    led: Led | int = NO_SEED
    """Asked only of the candidates that are shown; or one item that led to them all."""


NO_CANDIDATES: Final = Candidates(np.empty(0, np.int32), np.empty(0, np.float32))


def first_allowed(context: RankingContext, items: Ints) -> NDArray[np.int64]:
    """Places of the first ``reach`` allowed among these items (C,), in their order."""
    return kernels.first_allowed(items, context.allowed, context.reach)


def best_allowed(context: RankingContext, items: Ints, scores: Floats, above: float = -inf) -> NDArray[np.int64]:
    """Places of the ``reach`` best of the allowed among these items (C,), by finite scores (C,) above ``above``, best first."""
    if scores.size < max(_MANY, context.reach + _SPARE):
        return _best(context, items, scores, above)
    # NumPy is faster at leaving out most of many.
    floor = max(score_thresholds(scores[None, :], context.reach + _SPARE)[0] - 1.0 / kernels.EXACT, above)
    near = (scores > floor).nonzero()[0]
    found = near[_best(context, items[near], scores[near], above)]
    return found if found.size == context.reach or floor <= above else _best(context, items, scores, above)


def _best(context: RankingContext, items: Ints, scores: Floats, above: float) -> NDArray[np.int64]:
    return kernels.best_allowed(scores, items, context.allowed, context.catalogue.column("hash"), context.reach, above)


def max_normalize(scores: Floats) -> Floats:
    """Scores brought to 0..1 by the greatest one; what is below zero becomes zero."""
    top = float(scores.max(initial=0.0))
    positive: Floats = np.maximum(scores, 0.0).astype(np.float32, copy=False)
    return positive / np.float32(top) if top > 0 else positive


def shrink(scores: Floats, support: float) -> Floats:
    """Scores above 0 brought to 0..1: the greatest one is near 1 where it is far above ``support``, which has its unit."""
    top = float(scores.max(initial=0.0))
    weighed: Floats = scores / np.float32(top + support) if top > 0 else scores
    return weighed


class SeedMatches(NamedTuple):
    """Where one anchor leads: positions (C,), how strongly each (C,), and how much the anchor counts."""

    anchor: int
    weight: float
    items: Ints
    scores: Floats


def sum_by_item(context: RankingContext, leads: Iterable[SeedMatches]) -> Candidates:
    """Candidates of several anchors: weighed scores summed, each led to by the anchor that gave it most; the ``reach`` best."""
    kept = [each for each in leads if each.items.size]
    if not kept:
        return NO_CANDIDATES
    anchors, weights, items, scores = zip(*kept, strict=True)
    found, summed, leading = kernels.sum_by_item(
        np.concatenate(items),
        np.concatenate(scores),
        np.array([each.size for each in items]),
        np.array(anchors, np.int32),
        np.array(weights, np.float32),
        context.allowed,
        context.catalogue.column("hash"),
        context.reach,
    )
    return Candidates(found, summed, leading.take)


def rank_buckets(items: Ints) -> Candidates:
    """Candidates in order, scored by rank in doubling buckets: a small change of counts seldom changes a score."""
    return Candidates(items, _buckets(items.size))


@cache
def _buckets(count: int) -> Floats:
    scores = np.exp2(-np.floor(np.log2(np.arange(1, count + 1))) / 2).astype(np.float32)
    scores.flags.writeable = False
    return scores
