"""From a ranked list to an answer: names of what it was made from, the catalogue's view of each item, the record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec
import numpy as np
import structlog

from schemas.answers import Answer, AnswerItem, DecidedItem, Decision, Encoded, RecommendationRequest
from serving import metrics
from serving.http import parameters
from serving.ranking.pipeline import RankedList
from serving.state.catalogue import Catalogue
from serving.state.model_bundle import ModelBundle
from serving.stores.user_state import UserState

_log = structlog.get_logger(__name__)
VARIANT: Final = "default"
"""The only variant until there are experiments."""


class Question(NamedTuple):
    """A request on its way to an answer: its route, what was asked, and what was read for it."""

    route: str
    request: RecommendationRequest
    user_state: UserState
    models: ModelBundle


class Versions(NamedTuple):
    """The versions that everybody's data stood at when an answer was made."""

    aggregates: str
    catalogue: str
    config_id: str


def ranked_or_nothing(
    rank: Callable[[], RankedList], fallback: Callable[[], RankedList], degraded: list[str]
) -> RankedList:
    """The ranked list; where ranking itself is at fault, the fallback, said and counted: never a 5xx."""
    try:
        return rank()
    except Exception:  # noqa: BLE001 - the last rung of the ladder
        # A fault of ours in one source must not empty a shop's page; the traceback says what to mend.
        _log.exception("ranking_failed")
        degraded.append("ranking")
        return fallback()


def answer(
    question: Question, ranked: RankedList, versions: Versions, catalogue: Catalogue, recommendation_id: str
) -> Answer:
    """The answer, with each item's view where the site says anything of it."""
    request, user_state = question.request, question.user_state
    return Answer(
        recommendation_id=recommendation_id,
        items=[_shown(item, at, catalogue) for item, at in zip(ranked.items, ranked.positions.tolist(), strict=True)],
        model_version=question.models.version,
        signals_offset=str(user_state.offset) if user_state.offset else None,
        aggregates_version=versions.aggregates,
        catalogue_version=versions.catalogue,
        config_id=versions.config_id,
        variant=VARIANT,
        degraded=list(dict.fromkeys(user_state.degraded)),
        generated_at=datetime.fromtimestamp(request.now, UTC),
        next_cursor=_next_cursor(request, ranked, catalogue),
    )


def again(made: Answer, recommendation_id: str, now: float) -> Answer:
    """The same answer given at another time, under an id of its own."""
    at = datetime.fromtimestamp(now, UTC)
    return msgspec.structs.replace(made, recommendation_id=recommendation_id, generated_at=at)


def count(made: Answer, ranked: RankedList) -> None:
    """Count what an answer had to do without."""
    if ranked.backfilled:
        metrics.FALLBACKS.inc(ranked.backfilled)
    for reason in made.degraded:
        metrics.DEGRADED.labels(reason).inc()


def decision(question: Question, made: Answer, ranked: RankedList) -> Decision:
    """The record of an answer."""
    return Decision(
        recommendation_id=made.recommendation_id,
        route=question.route,
        generated_at=made.generated_at,
        request=question.request,
        items=ranked.items,
        model_version=made.model_version,
        signals_offset=made.signals_offset,
        aggregates_version=made.aggregates_version,
        catalogue_version=made.catalogue_version,
        config_id=made.config_id,
        variant=made.variant,
        degraded=made.degraded,
        sources=ranked.sources,
        inputs=question.user_state.inputs,
        next_cursor=made.next_cursor,
    )


def brief(first: Decision) -> Decision:
    """The record of an answer that gives the list of this one again, but for its id and time: what was shown alone."""
    items = Encoded([DecidedItem(each.item_id, each.score, propensity=each.propensity) for each in first.items])
    return msgspec.structs.replace(first, items=items, sources={}, inputs={}, same_as=first.recommendation_id)


def of_answer(decision: Decision, made: Answer) -> Decision:
    """A record as that of another answer with the same list."""
    return msgspec.structs.replace(decision, recommendation_id=made.recommendation_id, generated_at=made.generated_at)


def _shown(item: DecidedItem, at: int, catalogue: Catalogue) -> AnswerItem:
    fragment = catalogue.fragment(at)
    if fragment is None:
        return AnswerItem(item.item_id, item.score, item.reasons)
    return AnswerItem(item.item_id, item.score, item.reasons, fragment)


def _next_cursor(request: RecommendationRequest, ranked: RankedList, catalogue: Catalogue) -> str | None:
    if len(ranked.items) < request.count:
        return None
    hashes = catalogue.column("hash")[ranked.positions].astype("<u4")
    return parameters.next_page(request.shown + np.ascontiguousarray(hashes).tobytes())
