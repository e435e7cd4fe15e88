"""Builds an answer from a ranked list, and the decision record from an answer. Pure, except for metrics."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec
import numpy as np

from schemas.answers import Answer, AnswerItem, DecidedItem, Decision, Encoded, RecommendationRequest
from schemas.http.cursors import after_shown
from serving import metrics
from serving.ranking.pipeline import RankedList
from serving.service.preparation import PreparedRequest
from serving.state.catalogue import Catalogue

VARIANT: Final = "default"
"""The only variant until there are experiments."""


class Versions(NamedTuple):
    """The versions of the shared data that an answer is made from."""

    aggregates: str
    catalogue: str
    config_id: str


def answer(
    prepared: PreparedRequest, ranked: RankedList, versions: Versions, catalogue: Catalogue, recommendation_id: str
) -> Answer:
    """Returns the answer, with the catalogue's view of each item that the site has described."""
    request, user_state = prepared.request, prepared.user_state
    positions = ranked.positions.tolist()
    return Answer(
        recommendation_id=recommendation_id,
        items=[_with_view(item, position, catalogue) for item, position in zip(ranked.items, positions, strict=True)],
        model_version=prepared.models.version,
        signals_offset=str(user_state.offset) if user_state.offset else None,
        aggregates_version=versions.aggregates,
        catalogue_version=versions.catalogue,
        config_id=versions.config_id,
        variant=VARIANT,
        degraded=list(dict.fromkeys(user_state.degraded)),
        generated_at=datetime.fromtimestamp(request.now, UTC),
        next_cursor=_next_cursor(request, ranked, catalogue),
    )


def repeated_answer(first: Answer, recommendation_id: str, now: float) -> Answer:
    """Returns the same answer with a new id and time."""
    generated_at = datetime.fromtimestamp(now, UTC)
    return msgspec.structs.replace(first, recommendation_id=recommendation_id, generated_at=generated_at)


def count(given: Answer, ranked: RankedList) -> None:
    """Count the backfilled items of an answer, and the reasons why it is degraded."""
    if ranked.backfilled:
        metrics.FALLBACKS.inc(ranked.backfilled)
    for reason in given.degraded:
        metrics.DEGRADED.labels(reason).inc()


def decision(prepared: PreparedRequest, given: Answer, ranked: RankedList) -> Decision:
    """Returns the record of an answer, without its cursor, which follows from the request and the items."""
    return Decision(
        recommendation_id=given.recommendation_id,
        route=prepared.route,
        generated_at=given.generated_at,
        request=prepared.request,
        items=ranked.items,
        model_version=given.model_version,
        signals_offset=given.signals_offset,
        aggregates_version=given.aggregates_version,
        catalogue_version=given.catalogue_version,
        config_id=given.config_id,
        variant=given.variant,
        degraded=given.degraded,
        sources=ranked.sources,
        inputs=prepared.user_state.inputs,
    )


def brief_decision(first: Decision) -> Decision:
    """Returns the brief record of a repeated list: its items, and the id of the first answer with this list."""
    items = Encoded([DecidedItem(item.item_id, item.score, propensity=item.propensity) for item in first.items])
    return msgspec.structs.replace(first, items=items, sources={}, inputs={}, same_as=first.recommendation_id)


def decision_of(recorded: Decision, given: Answer) -> Decision:
    """Returns the record for another answer with the same list."""
    return msgspec.structs.replace(recorded, recommendation_id=given.recommendation_id, generated_at=given.generated_at)


def _with_view(item: DecidedItem, position: int, catalogue: Catalogue) -> AnswerItem:
    fragment = catalogue.fragment(position)
    if fragment is None:
        return AnswerItem(item.item_id, item.score, item.reasons)
    return AnswerItem(item.item_id, item.score, item.reasons, fragment)


def _next_cursor(request: RecommendationRequest, ranked: RankedList, catalogue: Catalogue) -> str | None:
    if len(ranked.items) < request.count:
        return None
    hashes = catalogue.column("hash")[ranked.positions].astype("<u4")
    return after_shown(request.shown_hashes + np.ascontiguousarray(hashes).tobytes())
