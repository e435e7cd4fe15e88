"""What a candidate source reads, ``RankingContext``, and what it returns, ``Candidates``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from math import inf
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Bools, Floats, Ints, score_thresholds
from schemas.answers import RecommendationRequest
from serving.arrays import kernels
from serving.ranking.config import RankingConfig
from serving.ranking.user_profile import InterestProfile
from serving.state.aggregates import Aggregates
from serving.state.catalogue import Catalogue
from serving.state.model_bundle import ModelBundle, ScoredPositions
from signals.users import UserValue

NO_SEED: Final = -1
"""The seed of a candidate that no single item produced."""
_THRESHOLD_FROM: Final = 10_000
"""Number of scores from which it is faster to look for a threshold first."""
_SPARE: Final = 64
"""Candidates beyond the limit, because some of the best may not be allowed."""


class Signals(NamedTuple):
    """What the request read: the user's value, the aggregates of all users, and the user's precomputed list (None: not read)."""

    user: UserValue
    aggregates: Aggregates
    precomputed: ScoredPositions | None = None


class RankingContext(NamedTuple):
    """One request with what was read for it. ``allowed`` (n,) is True for the positions that may be recommended."""

    request: RecommendationRequest
    profile: InterestProfile
    signals: Signals
    models: ModelBundle
    catalogue: Catalogue
    config: RankingConfig
    allowed: Bools
    candidate_limit: int
    """Candidates that each source returns at most."""
    revisitable: Ints
    """Positions (R,) of this session's items that may be shown again, newest first; two sources propose them."""

    @property
    def interests(self) -> dict[str, float]:
        """The decayed weights of the user's interests by item id, strongest first."""
        ids = self.catalogue.ids
        return {ids[position]: weight for position, weight in self.profile.weights.items()}

    @property
    def trained(self) -> bool:
        """Whether the model knows this user."""
        als, user_id = self.models.als, self.request.user_id
        known = als is not None and user_id is not None and als.vector(user_id) is not None
        return known or bool(self.signals.precomputed and self.signals.precomputed.items.size)

    @property
    def fresh_share(self) -> float:
        """Share of the events since training in what is known about the user, 0 to 1; 1 for a cold-start user."""
        if not self.trained:
            return 1.0
        return self.profile.fresh / (self.profile.fresh + self.config.fold_in_strength)


SeedLookup = Callable[[Ints], Ints]
"""Returns, for each candidate index (C,), the position of the seed item that produced it, or NO_SEED."""


class Candidates(NamedTuple):
    """The candidates of one source: distinct positions (C,), scores from 0 to 1 (C,), and the seeds that produced them."""

    items: Ints
    scores: Floats
    seeds: SeedLookup | int = NO_SEED
    """Looked up for the candidates that are shown; or the position of one seed of all candidates."""


NO_CANDIDATES: Final = Candidates(np.empty(0, np.int32), np.empty(0, np.float32))


def first_allowed(context: RankingContext, items: Ints) -> NDArray[np.int64]:
    """Indices of the first ``candidate_limit`` allowed items among these (C,), in their order."""
    return kernels.first_allowed(items, context.allowed, context.candidate_limit)


def best_allowed(context: RankingContext, items: Ints, scores: Floats, above: float = -inf) -> NDArray[np.int64]:
    """Indices of the ``candidate_limit`` best allowed items among these (C,), best first; only finite scores above ``above``."""
    if scores.size < max(_THRESHOLD_FROM, context.candidate_limit + _SPARE):
        return _best(context, items, scores, above)
    # NumPy is faster at leaving out most of many.
    threshold = max(score_thresholds(scores[None, :], context.candidate_limit + _SPARE)[0] - 1.0 / kernels.EXACT, above)
    above_threshold = (scores > threshold).nonzero()[0]
    best = above_threshold[_best(context, items[above_threshold], scores[above_threshold], above)]
    return best if best.size == context.candidate_limit or threshold <= above else _best(context, items, scores, above)


def _best(context: RankingContext, items: Ints, scores: Floats, above: float) -> NDArray[np.int64]:
    return kernels.best_allowed(
        scores, items, context.allowed, context.catalogue.column("hash"), context.candidate_limit, above
    )


def max_normalize(scores: Floats) -> Floats:
    """Scores divided by the greatest one, so that they are between 0 and 1; negative ones become 0."""
    top = float(scores.max(initial=0.0))
    positive: Floats = np.maximum(scores, 0.0).astype(np.float32, copy=False)
    return positive / np.float32(top) if top > 0 else positive


def shrink(scores: Floats, support: float) -> Floats:
    """Positive scores divided by the greatest one plus ``support`` (in the same unit): few observations give low scores."""
    top = float(scores.max(initial=0.0))
    shrunk: Floats = scores / np.float32(top + support) if top > 0 else scores
    return shrunk


class SeedMatches(NamedTuple):
    """The items that one seed produces: positions (C,), scores (C,), and the weight of the seed."""

    seed: int
    weight: float
    items: Ints
    scores: Floats


def sum_by_item(context: RankingContext, matches: Iterable[SeedMatches]) -> Candidates:
    """The best ``candidate_limit`` items by the sum of weighted scores; the seed of each is the one that adds most to it."""
    nonempty = [match for match in matches if match.items.size]
    if not nonempty:
        return NO_CANDIDATES
    seeds, weights, items, scores = zip(*nonempty, strict=True)
    positions, sums, strongest_seeds = kernels.sum_by_item(
        np.concatenate(items),
        np.concatenate(scores),
        np.array([own.size for own in items]),
        np.array(seeds, np.int32),
        np.array(weights, np.float32),
        context.allowed,
        context.catalogue.column("hash"),
        context.candidate_limit,
    )
    return Candidates(positions, sums, strongest_seeds.take)


def rank_buckets(items: Ints) -> Candidates:
    """Candidates in this order, scored by rank in buckets that double in size, so that small changes of counts change few scores."""
    return Candidates(items, _buckets(items.size))


@cache
def _buckets(count: int) -> Floats:
    scores = np.exp2(-np.floor(np.log2(np.arange(1, count + 1))) / 2).astype(np.float32)
    scores.flags.writeable = False
    return scores
