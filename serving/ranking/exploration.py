"""Exploration: some ranks of a page go to items of uncertain value, by Thompson sampling.

Chapelle, Li, "An Empirical Evaluation of Thompson Sampling", NIPS 2011. The value of an item is a Beta distribution
around its score relative to the best one. More events and a greater age make it narrower. A new item with few events
is sometimes drawn high; a well-known item is drawn near its score.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Floats, Ints
from schemas.answers import DecidedItem, Reason
from serving.arrays.top_k import top_k
from serving.ranking.blend import BlendedCandidates
from serving.ranking.context import RankingContext

_TINY: Final = float(np.finfo(np.float32).tiny)
EXPLORE: Final = "explore"
_POOL: Final = 100
"""Candidates in the draw: those with the greatest upper bounds."""
_DRAWS: Final = 64
"""Number of draws that estimate propensities; the first one decides."""
_PRIOR: Final = 2.0
"""Number of trials of an item without events."""
_EDGE: Final = 0.02
"""Expected values are at least this, and at most 1 less this."""


class Sampled(NamedTuple):
    """The drawn candidates (k,), best draw first, and for each the probability to be among the k."""

    chosen: Ints
    propensities: Floats


def apply_exploration(
    context: RankingContext, blended: BlendedCandidates, items: list[DecidedItem], positions: list[int]
) -> tuple[list[DecidedItem], list[int]]:
    """The list with the last items, a share ``explore`` of it, replaced by drawn items, each inserted at a drawn rank.

    Nothing is drawn where ``request.exploration_seed`` is 0. A drawn item has the score of the item that it moves down, the reason
    ``explore``, and its propensity; the propensity of all others is 1.
    """
    count = context.request.count
    slots = round(context.config.explore * count)
    if not slots or not context.request.exploration_seed or not blended.items.size:
        return items, positions
    rng = np.random.Generator(np.random.PCG64(context.request.exploration_seed))
    entries = list(zip(items, positions, strict=True))[: count - slots]
    means, trials = _beliefs(context, blended)
    pool = _pool(context, blended, means + 2.0 * _deviations(means, trials), [position for _, position in entries])
    drawn = thompson_sample(means[pool], trials[pool], slots, rng)
    ranks = np.sort(rng.choice(min(count, len(entries) + drawn.chosen.size), drawn.chosen.size, replace=False))
    for rank, column, propensity in zip(
        ranks.tolist(), drawn.chosen.tolist(), drawn.propensities.tolist(), strict=True
    ):
        position = int(blended.items[pool[column]])
        score = entries[min(rank, len(entries) - 1)][0].score if entries else 1.0
        entries.insert(
            rank, (DecidedItem(context.catalogue.ids[position], score, [Reason(EXPLORE, 1.0)], propensity), position)
        )
    return [item for item, _ in entries], [position for _, position in entries]


def thompson_sample(means: Floats, trials: Floats, slots: int, rng: np.random.Generator) -> Sampled:
    """The ``slots`` greatest of one draw for each item from Beta(mean · trials, (1 - mean) · trials); both shape (C,)."""
    slots = min(slots, means.size)
    draws = rng.beta(means * trials, (1.0 - means) * trials, (_DRAWS, means.size))
    order = np.argsort(-draws, axis=1, kind="stable")[:, :slots]
    propensities = np.bincount(order.ravel(), minlength=means.size) / _DRAWS
    return Sampled(order[0].astype(np.int32), propensities[order[0]].astype(np.float32))


def _beliefs(context: RankingContext, blended: BlendedCandidates) -> tuple[Floats, Floats]:
    """The expected value of each candidate, 0 to 1, and its number of trials; shape (C,) each."""
    items = blended.items
    means = np.clip(blended.scores / max(float(blended.scores.max()), _TINY), _EDGE, 1.0 - _EDGE)
    ages = np.maximum(0.0, context.request.now - context.catalogue.column("born")[items]) / context.config.new_age
    trials = _PRIOR + np.maximum(context.signals.aggregates.count(items), 0.0) + np.minimum(ages, 100.0)
    return means.astype(np.float32), trials.astype(np.float32)


def _deviations(means: Floats, trials: Floats) -> Floats:
    """Standard deviations of the Beta distributions, shape (C,)."""
    deviations: Floats = np.sqrt(means * (1.0 - means) / (trials + 1.0))
    return deviations


def _pool(context: RankingContext, blended: BlendedCandidates, bounds: Floats, taken: list[int]) -> NDArray[np.intp]:
    """Indices of the candidates in the draw, greatest upper bound (C,) first; none that is shown already."""
    bounds = np.where(np.isin(blended.items, taken) | (blended.scores <= 0), -np.inf, bounds)
    return top_k(bounds, _POOL, context.catalogue.column("hash")[blended.items])
