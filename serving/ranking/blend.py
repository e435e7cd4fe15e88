"""The blend: each source's scores, 0 to 1, times the source's weight, summed; what is disliked is taken off."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.source_weights import CURVES, SourceWeights, Weight
from models.structures.arrays import Floats, Ints
from serving.arrays import kernels
from serving.ranking.candidates.registry import candidate_sources
from serving.ranking.config import RankingConfig
from serving.ranking.context import NO_CANDIDATES, Candidates, Led, RankingContext

_NONE: Final = Weight(0.0)


class BlendedCandidates(NamedTuple):
    """C candidates: positions, total scores, by source (S, C) what it added and at which place it has it, and what led there."""

    items: Ints
    scores: Floats
    names: tuple[str, ...]
    added: Floats
    places: Ints
    """-1 where the source did not propose the candidate."""
    led: tuple[Led | int, ...]


class CandidateSet(NamedTuple):
    """What S sources propose: C positions in any order, and E proposals, one source's after the other's."""

    items: Ints
    names: tuple[str, ...]
    lengths: NDArray[np.intp]
    """(S,) How many of the proposals are each source's."""
    columns: Ints
    """(E,) Which of the positions each proposal is of."""
    scores: Floats
    """(E,) What its source says of it, 0 to 1."""
    led: tuple[Led | int, ...]

    def table(self, values: Floats, among: NDArray[np.int64] | None = None) -> tuple[Floats, Ints]:
        """Values by proposal (E,) as a table by source and position (S, C), and at which of a source's places each is.

        0 and -1 where there is no proposal. Of some positions (K,) alone where they are given.
        """
        among = np.arange(self.items.size) if among is None else among
        return kernels.table(values, self.columns, self.lengths, among, self.items.size)


def source_weights(context: RankingContext) -> dict[str, Weight]:
    """The sources' weights for this person: those that were learned, and of all other sources the configured ones.

    A stored list says what the fold-in says, and gives way to it as fresh events outweigh what was learned.
    """
    learned = context.models.weights
    weights = configured(context.config, inf if context.trained else context.profile.events)
    if learned is not None:
        weights |= _learned(context, learned)
    if context.signals.stored is not None:
        whole, fresh = weights.get("fold_in", _NONE), context.fresh_share
        weights["list"] = Weight(*(each * (1.0 - fresh) for each in whole))
        weights["fold_in"] = Weight(*(each * fresh for each in whole))
    return weights


def _learned(context: RankingContext, learned: SourceWeights) -> dict[str, Weight]:
    """Those of the sources that are configured at all."""
    on, found = context.config.sources, learned.of(context.profile.events)
    return {name: weight for name, weight in found.items() if on.get(name, 0.0) > 0}


def configured(config: RankingConfig, interactions: float) -> dict[str, Weight]:
    """The weights for somebody with so many interactions, as they are configured.

    What everybody does orders a stranger's list, fading with each interaction, and never that of somebody known.
    """
    known = 1.0 if interactions >= config.known_events else interactions / config.known_events
    sources = config.sources.items()
    return {name: Weight(weight * (1.0 - known) if _is_of_everybody(name) else weight) for name, weight in sources}


def _is_of_everybody(name: str) -> bool:
    source = candidate_sources().get(name)
    return source is not None and source.scope == "everybody"


def gather(parts: Mapping[str, Candidates]) -> CandidateSet:
    """All candidates of some sources."""
    used = {name: found for name, found in parts.items() if found.items.size}
    proposed = np.concatenate([NO_CANDIDATES.items, *(found.items for found in used.values())])
    items, columns = kernels.numbered(proposed)
    return CandidateSet(
        items=items,
        names=tuple(used),
        lengths=np.array([found.items.size for found in used.values()], np.intp),
        columns=columns,
        scores=np.concatenate([NO_CANDIDATES.scores, *(found.scores for found in used.values())]),
        led=tuple([found.led for found in used.values()]),
    )


def weighed(found: CandidateSet, weights: Mapping[str, Weight]) -> Floats:
    """What each proposal adds to its candidate (E,); that of a source without a weight adds nothing."""
    given = np.array([weights.get(name, _NONE) for name in found.names], np.float32).reshape(-1, CURVES)
    return kernels.weighed(found.scores, found.lengths, given)


def blend(
    context: RankingContext,
    parts: Mapping[str, Candidates],
    weights: Mapping[str, Weight],
    negative_feedback: Candidates,
) -> BlendedCandidates:
    """The candidates that may yet be shown, with their totals, in no order."""
    found = gather({name: each for name, each in parts.items() if any(weights.get(name, _NONE))})
    added = weighed(found, weights)
    scores = np.bincount(found.columns, added, found.items.size).astype(np.float32)
    if context.request.seed and context.config.exploration:
        scores *= _noise(context, found.items)
    if negative_feedback.items.size:
        scores -= _aversion(context, found.items, negative_feedback)
    near = _shortlist(context, scores)
    shown, places = found.table(added, near)
    return BlendedCandidates(found.items[near], scores[near], found.names, shown, places, found.led)


def _shortlist(context: RankingContext, scores: Floats) -> NDArray[np.intp]:
    """Which of the candidates by their scores (C,) may be shown once ``ctr_adjusted`` has moved them: most can be left out."""
    request, config = context.request, context.config
    if request.diversity > 0 or config.caps or config.boosts or request.boosts or config.explore:
        return np.arange(scores.size)
    return kernels.near_best(scores, request.count, (1.0 + config.click_through) ** 2)


def ctr_adjusted(context: RankingContext, blended: BlendedCandidates) -> BlendedCandidates:
    """The same by how willingly each is clicked where it is shown; a factor near 1, which is no reason."""
    most = 1.0 + context.config.click_through
    exposure = context.signals.aggregates.exposure
    if most == 1.0 or exposure.empty:
        return blended
    factors = exposure.relative(blended.items, context.request.now, most)
    return blended._replace(scores=blended.scores * factors)


def _aversion(context: RankingContext, items: Ints, negative_feedback: Candidates) -> Floats:
    """What is taken off each candidate's score, shape (C,)."""
    taken = np.zeros(len(context.catalogue), np.float32)
    taken[negative_feedback.items] = negative_feedback.scores * context.config.aversion
    return taken[items]


def _noise(context: RankingContext, items: Ints) -> Floats:
    """Factors around 1, drawn for each item from the request's seed, shape (C,)."""
    return kernels.noise(context.catalogue.column("hash"), items, context.request.seed, context.config.exploration)
