"""Exploration: some places of a page go to items whose worth is uncertain, by Thompson sampling.

Chapelle, Li, "An Empirical Evaluation of Thompson Sampling", NIPS 2011. What an item is worth is a Beta distribution
around its score relative to the best one, the narrower the more has happened to the item and the older it is: so an
item that is new and little tried is drawn high now and then, a well-known one as ranking has it.
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
"""Candidates that are drawn for: those whose worth may be greatest."""
_DRAWS: Final = 64
"""Draws by which propensities are estimated, the one that decides included."""
_PRIOR: Final = 2.0
"""Trials that an item of which nothing is known counts as."""
_EDGE: Final = 0.02
"""No item is held to be worth less than this, or more than 1 less this, before it was tried."""


class Sampled(NamedTuple):
    """Candidates drawn (k,), best draw first, and how probable it was that each would be among the k."""

    chosen: Ints
    propensities: Floats


def apply_exploration(
    context: RankingContext, blended: BlendedCandidates, items: list[DecidedItem], positions: list[int]
) -> tuple[list[DecidedItem], list[int]]:
    """The list with its last ``explore`` share given to drawn items, each at a place that is drawn too.

    Nothing is drawn where ``request.draw`` is 0. A drawn item has the score of the item that it pushes down, the reason
    ``explore``, and its propensity; all others were certain to be shown.
    """
    count = context.request.count
    slots = round(context.config.explore * count)
    if not slots or not context.request.draw or not blended.items.size:
        return items, positions
    rng = np.random.Generator(np.random.PCG64(context.request.draw))
    kept = list(zip(items, positions, strict=True))[: count - slots]
    means, trials = _beliefs(context, blended)
    pool = _pool(context, blended, means + 2.0 * _deviations(means, trials), [at for _, at in kept])
    found = sampled(means[pool], trials[pool], slots, rng)
    places = np.sort(rng.choice(min(count, len(kept) + found.chosen.size), found.chosen.size, replace=False))
    for place, column, chance in zip(places.tolist(), found.chosen.tolist(), found.propensities.tolist(), strict=True):
        at = int(blended.items[pool[column]])
        score = kept[min(place, len(kept) - 1)][0].score if kept else 1.0
        kept.insert(place, (DecidedItem(context.catalogue.ids[at], score, [Reason(EXPLORE, 1.0)], chance), at))
    return [item for item, _ in kept], [at for _, at in kept]


def sampled(means: Floats, trials: Floats, slots: int, rng: np.random.Generator) -> Sampled:
    """The ``slots`` greatest of one draw from Beta(mean · trials, (1 - mean) · trials) an item; ``means``, ``trials`` (C,)."""
    slots = min(slots, means.size)
    draws = rng.beta(means * trials, (1.0 - means) * trials, (_DRAWS, means.size))
    order = np.argsort(-draws, axis=1, kind="stable")[:, :slots]
    chances = np.bincount(order.ravel(), minlength=means.size) / _DRAWS
    return Sampled(order[0].astype(np.int32), chances[order[0]].astype(np.float32))


def _beliefs(context: RankingContext, blended: BlendedCandidates) -> tuple[Floats, Floats]:
    """Each candidate's expected worth, 0 to 1, and the trials that this belief counts as; shape (C,) each."""
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
    """Columns of the blend that may be drawn, by the upper bounds (C,) of their worth; none that is shown already."""
    bounds = np.where(np.isin(blended.items, taken) | (blended.scores <= 0), -np.inf, bounds)
    return top_k(bounds, _POOL, context.catalogue.column("hash")[blended.items])
