"""The blend: the weighted sum of the sources' scores, less the similarity to disliked items."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.source_weights import CURVES, SourceWeight, SourceWeights
from models.structures.arrays import Floats, Ints
from serving.arrays import kernels
from serving.ranking.candidates.registry import candidate_sources
from serving.ranking.config import RankingConfig
from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext, SeedLookup

_NONE: Final = SourceWeight(0.0)


class BlendedCandidates(NamedTuple):
    """C candidates with their total scores, and by source (S, C) the parts of these scores and the seeds."""

    items: Ints
    scores: Floats
    names: tuple[str, ...]
    added: Floats
    """(S, C) The part of the score that comes from each source."""
    indices: Ints
    """(S, C) Index of the candidate in the source's own list; -1 where the source did not propose it."""
    seeds: tuple[SeedLookup | int, ...]


class CandidateSet(NamedTuple):
    """The candidates of S sources: C distinct positions in any order, and E proposals, ordered by source."""

    items: Ints
    names: tuple[str, ...]
    lengths: NDArray[np.intp]
    """(S,) Number of proposals of each source."""
    columns: Ints
    """(E,) Index of each proposal's item among the C positions."""
    scores: Floats
    """(E,) Score by its source, 0 to 1."""
    seeds: tuple[SeedLookup | int, ...]

    def table(self, values: Floats, among: NDArray[np.int64] | None = None) -> tuple[Floats, Ints]:
        """Values by proposal (E,) as a table by source and item (S, C), and the index of each in its source's list.

        Where a source has no proposal the value is 0 and the index -1. ``among`` (K,) selects some of the C items.
        """
        among = np.arange(self.items.size) if among is None else among
        return kernels.table(values, self.columns, self.lengths, among, self.items.size)


def source_weights(context: RankingContext) -> dict[str, SourceWeight]:
    """The weight of each source for this user: the learned one, or else the configured one.

    The precomputed list and the fold-in share one weight: the fold-in's share is ``fresh_share``, the list has the rest.
    """
    learned = context.models.source_weights
    weights = configured_weights(context.config, inf if context.trained else context.profile.events)
    if learned is not None:
        weights |= _learned(context, learned)
    if context.signals.precomputed is not None:
        whole, fresh = weights.get("fold_in", _NONE), context.fresh_share
        weights["precomputed"] = SourceWeight(*(weight * (1.0 - fresh) for weight in whole))
        weights["fold_in"] = SourceWeight(*(weight * fresh for weight in whole))
    return weights


def _learned(context: RankingContext, learned: SourceWeights) -> dict[str, SourceWeight]:
    """The learned weights of the sources that the configuration does not switch off."""
    configured = context.config.sources
    weights = learned.of(context.profile.events)
    return {name: weight for name, weight in weights.items() if configured.get(name, 0.0) > 0}


def configured_weights(config: RankingConfig, interactions: float) -> dict[str, SourceWeight]:
    """The configured weights for a user with this number of interactions.

    Sources of scope ``everybody`` order the list of a cold-start user. Their weight falls with each interaction,
    and is 0 from ``known_events`` on.
    """
    known = 1.0 if interactions >= config.known_events else interactions / config.known_events
    sources = config.sources.items()
    return {
        name: SourceWeight(weight * (1.0 - known) if _is_of_everybody(name) else weight) for name, weight in sources
    }


def _is_of_everybody(name: str) -> bool:
    source = candidate_sources().get(name)
    return source is not None and source.scope == "everybody"


def gather(candidates: Mapping[str, Candidates]) -> CandidateSet:
    """The candidates of these sources as one set; sources without candidates are left out."""
    by_source = {name: own for name, own in candidates.items() if own.items.size}
    proposed = np.concatenate([NO_CANDIDATES.items, *(own.items for own in by_source.values())])
    items, columns = kernels.numbered(proposed)
    return CandidateSet(
        items=items,
        names=tuple(by_source),
        lengths=np.array([own.items.size for own in by_source.values()], np.intp),
        columns=columns,
        scores=np.concatenate([NO_CANDIDATES.scores, *(own.scores for own in by_source.values())]),
        seeds=tuple([own.seeds for own in by_source.values()]),
    )


def weighted_scores(candidate_set: CandidateSet, weights: Mapping[str, SourceWeight]) -> Floats:
    """What each proposal adds to its candidate's score (E,); 0 for a source without a weight."""
    by_source = np.array([weights.get(name, _NONE) for name in candidate_set.names], np.float32).reshape(-1, CURVES)
    return kernels.weighed(candidate_set.scores, candidate_set.lengths, by_source)


def blend(
    context: RankingContext,
    candidates: Mapping[str, Candidates],
    weights: Mapping[str, SourceWeight],
    negative_feedback: Candidates,
) -> BlendedCandidates:
    """The candidates that may still be shown, with their total scores, in any order."""
    candidate_set = gather({name: own for name, own in candidates.items() if any(weights.get(name, _NONE))})
    added = weighted_scores(candidate_set, weights)
    scores = np.bincount(candidate_set.columns, added, candidate_set.items.size).astype(np.float32)
    if context.request.random_seed and context.config.noise_spread:
        scores *= _noise(context, candidate_set.items)
    if negative_feedback.items.size:
        scores -= _negative_scores(context, candidate_set.items, negative_feedback)
    shortlist = _shortlist(context, scores)
    shown, indices = candidate_set.table(added, shortlist)
    return BlendedCandidates(
        candidate_set.items[shortlist], scores[shortlist], candidate_set.names, shown, indices, candidate_set.seeds
    )


def _shortlist(context: RankingContext, scores: Floats) -> NDArray[np.intp]:
    """Indices of the candidates, by scores (C,), that can still be shown after ``ctr_adjusted`` has changed the scores."""
    request, config = context.request, context.config
    if request.diversity > 0 or config.caps or config.boosts or request.boosts or config.explore:
        return np.arange(scores.size)
    return kernels.near_best(scores, request.count, (1.0 + config.click_through) ** 2)


def ctr_adjusted(context: RankingContext, blended: BlendedCandidates) -> BlendedCandidates:
    """The blend with each score multiplied by a factor near 1 for clicks over impressions; this is no reason of its own."""
    limit = 1.0 + context.config.click_through
    exposure = context.signals.aggregates.exposure
    if limit == 1.0 or exposure.empty:
        return blended
    factors = exposure.relative(blended.items, context.request.now, limit)
    return blended._replace(scores=blended.scores * factors)


def _negative_scores(context: RankingContext, items: Ints, negative_feedback: Candidates) -> Floats:
    """What is subtracted from the score of each candidate, shape (C,)."""
    by_position = np.zeros(len(context.catalogue), np.float32)
    by_position[negative_feedback.items] = negative_feedback.scores * context.config.dislike_share
    return by_position[items]


def _noise(context: RankingContext, items: Ints) -> Floats:
    """Factors around 1, made from the request's seed and each item's hash, shape (C,)."""
    return kernels.noise(
        context.catalogue.column("hash"), items, context.request.random_seed, context.config.noise_spread
    )
