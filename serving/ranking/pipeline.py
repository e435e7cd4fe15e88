"""The pure core: a request, what is known at this moment, a model, the catalogue and choices give an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final, NamedTuple

import numpy as np

from models.source_weights import Revisits
from models.structures.arrays import Ints
from schemas.answers import DecidedItem, Reason, RecommendationRequest, SourceOutcome
from serving.arrays import kernels
from serving.arrays.top_k import top_k
from serving.filtering.fields import Bools
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
    """Items with scores and reasons, best first, their positions, and what each source did."""

    items: list[DecidedItem]
    positions: Ints
    sources: dict[str, SourceOutcome]
    filled: int
    """How many items at the end no source chose."""


def call_source(source: CandidateSource, context: RankingContext) -> Candidates:
    """Call a source, and measure nothing."""
    return source.generate(context)


def recommend(
    request: RecommendationRequest,
    signals: Signals,
    models: ModelBundle,
    catalogue: Catalogue,
    config: RankingConfig,
    call: CallSource = call_source,
) -> RankedList:
    """Up to ``request.count`` distinct items that may be shown, scores falling; the same inputs give the same answer."""
    context = build_context(request, signals, models, catalogue, config)
    weights = blend.source_weights(context)
    parts = generate_candidates(context, [name for name in candidate_sources() if any(weights.get(name, ()))], call)
    blended = blend.ctr_adjusted(context, blend.blend(context, parts, weights, similar.negative_feedback(context)))
    blended = business_rules.apply_boosts(context, blended)
    outcomes = {
        name: SourceOutcome("ok", parts[name].items.size) if name in parts else SourceOutcome("skipped")
        for name in candidate_sources()
    }
    ranked = build_list(context, blended, outcomes)
    items, positions = exploration.apply_exploration(context, blended, ranked.items, ranked.positions.tolist())
    items, positions = business_rules.apply_pins(context, items, positions)
    return ranked._replace(items=items, positions=np.array(positions, np.int32))


def generate_candidates(
    context: RankingContext, names: Iterable[str], call: CallSource = call_source
) -> dict[str, Candidates]:
    """What these sources propose."""
    sources = candidate_sources()
    return {name: call(sources[name], context) for name in names}


def build_context(
    request: RecommendationRequest, signals: Signals, models: ModelBundle, catalogue: Catalogue, config: RankingConfig
) -> RankingContext:
    """The request with what is read once for all sources."""
    found, may = (
        user_profile.read(request, signals.user, models, catalogue, config),
        eligibility.permitted(request, catalogue),
    )
    returning = _returning(request, models, found)
    returning = returning[may[returning]]
    eligibility.hide_seen(may, request, signals.user, catalogue, config)
    return RankingContext(
        request=request,
        profile=found,
        signals=signals,
        models=models,
        catalogue=catalogue,
        config=config,
        allowed=may,
        reach=max(config.reach, 4 * request.count + len(request.shown) // 4),
        returning=returning,
    )


def _returning(request: RecommendationRequest, models: ModelBundle, found: user_profile.Profile) -> Ints:
    """Where the session was, newest first, as far as people of the site were found to go back; nothing for a known person."""
    if request.user_id is not None or models.weights is None or models.weights.revisits is Revisits.NONE:
        return np.empty(0, np.int32)
    return np.array(list(found.recent)[models.weights.revisits is Revisits.EARLIER :], np.int32)


def build_list(context: RankingContext, blended: BlendedCandidates, outcomes: dict[str, SourceOutcome]) -> RankedList:
    """The best of the blend with their reasons, filled up where they are too few."""
    chosen = _choose(context, blended)
    items = _decided(context, blended, chosen)
    positions = blended.items[chosen]
    floor = items[-1].score if items else 1.0
    more, reasons = _filling(context, positions, context.request.count - len(items))
    items += [
        DecidedItem(context.catalogue.ids[at], floor * 0.5 * (1.0 - place / (more.size + 1)), [Reason(reason, 1.0)])
        for place, (at, reason) in enumerate(zip(more.tolist(), reasons, strict=True))
    ]
    return RankedList(items, np.concatenate([positions, more]), outcomes, int(more.size))


def _choose(context: RankingContext, blended: BlendedCandidates) -> Ints:
    """Columns of the blend to show, best first."""
    request = context.request
    ties = context.catalogue.column("hash")[blended.items]
    every = request.diversity > 0 or bool(context.config.caps)
    order = top_k(blended.scores, blended.scores.size if every else request.count, ties, above=0.0)
    return order[diversity.chosen(context, blended.items[order], blended.scores[order])].astype(np.int32)


def _decided(context: RankingContext, blended: BlendedCandidates, chosen: Ints) -> list[DecidedItem]:
    ids = context.catalogue.ids
    items = blended.items[chosen]
    reasons = _reasons(context, blended, chosen)
    return [
        DecidedItem(ids[at], score, why)
        for at, score, why in zip(items.tolist(), blended.scores[chosen].tolist(), reasons, strict=True)
    ]


def _reasons(context: RankingContext, blended: BlendedCandidates, chosen: Ints) -> list[list[Reason]]:
    """Each chosen item's reasons, largest share first; shares too small to tell are left out."""
    rows, columns, shares = kernels.largest_shares(blended.added, chosen, _SMALLEST_SHARE)
    anchors = _anchors(blended, chosen)
    ids, names = context.catalogue.ids, blended.names
    led = [None if at == NO_SEED else ids[at] for at in anchors[rows, columns].tolist()]
    told = map(Reason, [names[row] for row in rows.tolist()], shares.tolist(), led)
    return [list(islice(told, count)) for count in np.bincount(columns, minlength=chosen.size).tolist()]


def _anchors(blended: BlendedCandidates, chosen: Ints) -> Ints:
    """By source (S, K) the item that led to each chosen one; NOBODY where the source did not propose it."""
    places = blended.places[:, chosen]
    anchors = np.full(places.shape, NO_SEED, np.int32)
    for row, led in enumerate(blended.led):
        if not isinstance(led, int):
            own = (places[row] >= 0).nonzero()[0]
            anchors[row, own] = led(places[row, own])
        elif led != NO_SEED:
            anchors[row] = led
    return anchors


def _filling(context: RankingContext, taken: Ints, count: int) -> tuple[Ints, list[str]]:
    """Items for the places that are left: popular at training, popular now, then the newest."""
    more: list[int] = []
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
        if len(more) < count:
            found = _first(order(), free, count - len(more))
            free[found] = False
            more += found
            reasons += [reason] * len(found)
    return np.array(more, np.int32), reasons


def _first(order: Ints, free: Bools, count: int) -> list[int]:
    """The first distinct free positions of an order."""
    return list(dict.fromkeys(order[free[order]].tolist()))[:count]


def _newest(context: RankingContext, free: Bools) -> Ints:
    return newest(context.catalogue, np.flatnonzero(free).astype(np.int32), context.request.count)
