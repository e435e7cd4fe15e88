"""The ranking pipeline, a pure function: request, signals, models, catalogue and configuration give a ranked list."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final, NamedTuple

import numpy as np

from models.source_weights import Revisits
from models.structures.arrays import Bools, Ints
from schemas.answers import DecidedItem, Reason, RecommendationRequest, SourceOutcome
from serving.arrays import kernels
from serving.arrays.top_k import top_k
from serving.ranking import blend, business_rules, diversity, eligibility, exploration, user_profile
from serving.ranking.blend import BlendedCandidates
from serving.ranking.candidates import similar
from serving.ranking.candidates.registry import candidate_sources
from serving.ranking.candidates.source import CandidateSource
from serving.ranking.config import RankingConfig
from serving.ranking.context import NO_SEED, Candidates, RankingContext, Signals
from serving.state.catalogue import Catalogue
from serving.state.model_bundle import ModelBundle
from serving.state.recent_items import newest

CallSource = Callable[[CandidateSource, RankingContext], Candidates]
"""Calls a source for its candidates."""
_SMALLEST_SHARE: Final = 0.01


class RankedList(NamedTuple):
    """Items with scores and reasons, best first, their positions, and the outcome of each source."""

    items: list[DecidedItem]
    positions: Ints
    sources: dict[str, SourceOutcome]
    backfilled: int
    """Number of items at the end of the list that no source proposed."""


def call_source(source: CandidateSource, context: RankingContext) -> Candidates:
    """Call a source without measuring it."""
    return source.generate(context)


def recommend(
    request: RecommendationRequest,
    signals: Signals,
    models: ModelBundle,
    catalogue: Catalogue,
    config: RankingConfig,
    call: CallSource = call_source,
) -> RankedList:
    """Up to ``request.count`` distinct items, best first; equal inputs give equal lists."""
    context = build_context(request, signals, models, catalogue, config)
    weights = blend.source_weights(context)
    active = [name for name in candidate_sources() if any(weights.get(name, ()))]
    candidates = generate_candidates(context, active, call)
    blended = blend.ctr_adjusted(context, blend.blend(context, candidates, weights, similar.negative_feedback(context)))
    blended = business_rules.apply_boosts(context, blended)
    outcomes = {
        name: SourceOutcome("ok", candidates[name].items.size) if name in candidates else SourceOutcome("skipped")
        for name in candidate_sources()
    }
    ranked = build_list(context, blended, outcomes)
    items, positions = exploration.apply_exploration(context, blended, ranked.items, ranked.positions.tolist())
    items, positions = business_rules.apply_pins(context, items, positions)
    return ranked._replace(items=items, positions=np.array(positions, np.int32))


def generate_candidates(
    context: RankingContext, names: Iterable[str], call: CallSource = call_source
) -> dict[str, Candidates]:
    """The candidates of these sources, by name."""
    sources = candidate_sources()
    return {name: call(sources[name], context) for name in names}


def build_context(
    request: RecommendationRequest, signals: Signals, models: ModelBundle, catalogue: Catalogue, config: RankingConfig
) -> RankingContext:
    """The request with what all sources read: the profile and the eligible positions."""
    profile = user_profile.build_profile(request, signals.user, models, catalogue, config)
    eligible = eligibility.eligible_positions(request, catalogue)
    revisitable = _revisitable(request, models, profile)
    revisitable = revisitable[eligible[revisitable]]
    eligibility.hide_seen(eligible, request, signals.user, catalogue, config)
    return RankingContext(
        request=request,
        profile=profile,
        signals=signals,
        models=models,
        catalogue=catalogue,
        config=config,
        allowed=eligible,
        candidate_limit=max(config.candidate_limit, 4 * request.count + len(request.shown_hashes) // 4),
        revisitable=revisitable,
    )


def _revisitable(request: RecommendationRequest, models: ModelBundle, profile: user_profile.InterestProfile) -> Ints:
    """The session's items, newest first, on a site where sessions were learned to go back; none for a signed-in user."""
    if request.user_id is not None or models.source_weights is None or models.source_weights.revisits is Revisits.NONE:
        return np.empty(0, np.int32)
    return np.array(list(profile.recent)[models.source_weights.revisits is Revisits.EARLIER :], np.int32)


def build_list(context: RankingContext, blended: BlendedCandidates, outcomes: dict[str, SourceOutcome]) -> RankedList:
    """The best of the blend with their reasons, backfilled where they are too few."""
    chosen = _select(context, blended)
    items = _with_reasons(context, blended, chosen)
    positions = blended.items[chosen]
    floor = items[-1].score if items else 1.0
    backfill, reasons = _backfill(context, positions, context.request.count - len(items))
    items += [
        DecidedItem(
            context.catalogue.ids[position], floor * 0.5 * (1.0 - rank / (backfill.size + 1)), [Reason(reason, 1.0)]
        )
        for rank, (position, reason) in enumerate(zip(backfill.tolist(), reasons, strict=True))
    ]
    return RankedList(items, np.concatenate([positions, backfill]), outcomes, int(backfill.size))


def _select(context: RankingContext, blended: BlendedCandidates) -> Ints:
    """Indices of the blended candidates to show, best first."""
    request = context.request
    ties = context.catalogue.column("hash")[blended.items]
    reordered = request.diversity > 0 or bool(context.config.caps)
    order = top_k(blended.scores, blended.scores.size if reordered else request.count, ties, above=0.0)
    return order[diversity.select_diverse(context, blended.items[order], blended.scores[order])].astype(np.int32)


def _with_reasons(context: RankingContext, blended: BlendedCandidates, chosen: Ints) -> list[DecidedItem]:
    """The chosen candidates with their scores and reasons."""
    ids = context.catalogue.ids
    items = blended.items[chosen]
    reasons = _reasons(context, blended, chosen)
    return [
        DecidedItem(ids[position], score, own_reasons)
        for position, score, own_reasons in zip(items.tolist(), blended.scores[chosen].tolist(), reasons, strict=True)
    ]


def _reasons(context: RankingContext, blended: BlendedCandidates, chosen: Ints) -> list[list[Reason]]:
    """The reasons of each chosen item, largest share first; shares below ``_SMALLEST_SHARE`` are left out."""
    rows, columns, shares = kernels.largest_shares(blended.added, chosen, _SMALLEST_SHARE)
    seeds = _seeds(blended, chosen)
    ids, names = context.catalogue.ids, blended.names
    seed_ids = [None if seed == NO_SEED else ids[seed] for seed in seeds[rows, columns].tolist()]
    reasons = map(Reason, [names[row] for row in rows.tolist()], shares.tolist(), seed_ids)
    return [list(islice(reasons, count)) for count in np.bincount(columns, minlength=chosen.size).tolist()]


def _seeds(blended: BlendedCandidates, chosen: Ints) -> Ints:
    """By source, the seed of each chosen candidate (S, K); NO_SEED where the source did not propose it."""
    indices = blended.indices[:, chosen]
    seeds = np.full(indices.shape, NO_SEED, np.int32)
    for row, seed in enumerate(blended.seeds):
        if not isinstance(seed, int):
            proposed = (indices[row] >= 0).nonzero()[0]
            seeds[row, proposed] = seed(indices[row, proposed])
        elif seed != NO_SEED:
            seeds[row] = seed
    return seeds


def _backfill(context: RankingContext, taken: Ints, count: int) -> tuple[Ints, list[str]]:
    """Up to ``count`` further items with their sources: popular at training, popular now, then the newest."""
    positions: list[int] = []
    reasons: list[str] = []
    if count <= 0:
        return np.empty(0, np.int32), reasons
    free = context.allowed.copy()
    free[taken] = False
    orders: list[tuple[str, Callable[[], Ints]]] = [
        ("popular", lambda: np.concatenate([context.models.popular.items, context.signals.aggregates.popular])),
        ("new", lambda: _newest(context, free)),
    ]
    for reason, order in orders:
        if len(positions) < count:
            added = _first(order(), free, count - len(positions))
            free[added] = False
            positions += added
            reasons += [reason] * len(added)
    return np.array(positions, np.int32), reasons


def _first(order: Ints, free: Bools, count: int) -> list[int]:
    """The first distinct free positions of an order."""
    return list(dict.fromkeys(order[free[order]].tolist()))[:count]


def _newest(context: RankingContext, free: Bools) -> Ints:
    return newest(context.catalogue, np.flatnonzero(free).astype(np.int32), context.request.count)
