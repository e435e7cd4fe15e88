"""The calls that the console's pages of figures, events and users read."""

from __future__ import annotations

from typing import Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from schemas.access.scopes import METRICS, PAGE, needs
from schemas.answers import Decision
from schemas.http.access.callers import principal_of
from schemas.http.fallback import json_response
from schemas.http.problems import ProblemError
from schemas.keys import Signal
from schemas.log.records import OffsetToken
from schemas.ports import Clock
from schemas.values.ids import MAX_ID
from serving.console import answers
from serving.console.event_detail import detail_of, entry_shown, rows_of, term_shown
from serving.console.figures import FigureHistory
from serving.console.outcomes import active_visitors, outcomes_of
from serving.console.recent import RecentEvent, RecentLog, Window
from serving.http import parsing
from serving.service.service import ServingService
from signals.users import EMPTY, UserValue

FIGURES: Final = (
    *("events_per_second", "rejected_per_second", "answers_per_second", "degraded_share", "lag", "model_age"),
    *("freshness_p50", "freshness_p99", "answer_time_p50", "answer_time_p99"),
)
"""The names of all figures."""
_WEEK: Final = 604_800
_SHOWN: Final = 50
Filter = Annotated[str, Query(max_length=MAX_ID)]


class ConsoleParts(NamedTuple):
    """What the calls read."""

    service: ServingService
    history: FigureHistory
    recent: RecentLog
    clock: Clock
    unmeasured: tuple[str, ...] = ()
    """Figures that this process cannot know, because another one measures them."""


def build_console_router(parts: ConsoleParts) -> APIRouter:
    """The routes of figures, events and users' signals."""
    router = APIRouter()
    _add_figures(router, parts)
    _add_events(router, parts)
    _add_users(router, parts)
    return router


def _add_figures(router: APIRouter, parts: ConsoleParts) -> None:
    @router.get("/v1/figures", **answers.described("get_figures", "Figures of this process over time", answers.Figures))
    @needs(METRICS)
    async def figures(seconds: Annotated[int, Query(ge=60, le=_WEEK)] = 900) -> Response:
        return json_response(_figures(parts, seconds))

    summary = "Clicks and conversions of the newest answers, by route and by source"
    outcomes_described = answers.described("get_outcomes", summary, answers.RecentOutcomes, 503)

    @router.get("/v1/figures/outcomes", **outcomes_described)
    @needs(METRICS)
    async def outcomes() -> Response:
        return json_response(await run_in_threadpool(_outcomes, parts))


def _figures(parts: ConsoleParts, seconds: int) -> answers.Figures:
    now = parts.clock()
    points = parts.history.points(now, seconds)
    return answers.Figures(
        at=now,
        times=[point.at for point in points],
        series={name: [point.figures.get(name) for point in points] for name in FIGURES},
        newest={name: points[-1].figures.get(name) if points else None for name in FIGURES},
        unmeasured=list(parts.unmeasured),
    )


def _outcomes(parts: ConsoleParts) -> answers.RecentOutcomes:
    window = parts.recent.window()
    events = [recent.event for recent in window.events if recent.event is not None]
    counted = outcomes_of(window.answers, events)
    return answers.RecentOutcomes(
        answers=counted.answers,
        events=counted.events,
        routes=counted.routes,
        sources=counted.sources,
        active_visitors=active_visitors(events, parts.clock()),
    )


def _add_events(router: APIRouter, parts: ConsoleParts) -> None:
    @router.get(
        "/v1/events/recent",
        **answers.described("list_recent_events", "The newest events on the log", answers.EventRows, 503),
    )
    @needs(PAGE)
    async def recent_events(
        request: Request,
        type: Filter = "",  # noqa: A002 - the name of the parameter
        user_id: Filter = "",
        item_id: Filter = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        refuse_public(request)
        window = await run_in_threadpool(parts.recent.window)
        return json_response(rows_of(window.events, limit, type, user_id, item_id))

    @router.get(
        "/v1/events/recent/{token}",
        **answers.described(
            "get_recent_event", "One of the newest events, with its way and effects", answers.EventDetail, 404, 503
        ),
    )
    @needs(PAGE)
    async def recent_event(request: Request, token: str) -> Response:
        refuse_public(request)
        wanted = OffsetToken.parse(token)
        window = await run_in_threadpool(parts.recent.window)
        return json_response(await _detail(parts, window, wanted))


async def _detail(parts: ConsoleParts, window: Window, wanted: OffsetToken) -> answers.EventDetail:
    recent = next((event for event in window.events if event.token == wanted), None)
    if recent is None:
        raise ProblemError(404, "unknown-event", f"The event {wanted} is not among the newest of its partition.")
    value, fences = await _state_of(parts.service, recent)
    return detail_of(recent, value, fences, window.answers)


async def _state_of(service: ServingService, recent: RecentEvent) -> tuple[UserValue, dict[str, int]]:
    """The value of the event's user, and the fences of its partition."""
    event = recent.event
    user_id = (event.user_id or "") if event else ""
    value = (await service.user_state(user_id)).value if user_id else EMPTY
    fences = await service.fences_of(recent.token.partition, (Signal.USERS, Signal.AGGREGATES))
    return value, fences


def _add_users(router: APIRouter, parts: ConsoleParts) -> None:
    @router.get(
        "/v1/users/{user_id:path}/signals",  # noqa: FAST003 - read undecoded, because an id may hold slashes
        **answers.described(
            "get_user_signals",
            "What the signals hold of a user, and the newest answers",
            answers.UserSignals,
            503,
            path="user_id",
        ),
    )
    @needs(PAGE)
    async def signals(request: Request) -> Response:
        refuse_public(request)
        user_id, _ = parsing.path_id(request, "/v1/users/", "/signals", "user_id")
        state = await parts.service.user_state(user_id)
        window = await run_in_threadpool(parts.recent.window)
        value = state.value
        return json_response(
            answers.UserSignals(
                user_id=user_id,
                signals_offset=str(state.offset) if state.offset else None,
                recent=[entry_shown(entry) for entry in reversed(value.recent)],
                searches=[term_shown(term) for term in reversed(value.terms)],
                session=_session(value),
                visits=value.visits,
                seen=len(value.seen),
                links=list(state.links),
                counters=value.counters,
                answers=[_answer_shown(each) for each in window.answers if each.request.user_id == user_id][:_SHOWN],
                degraded=state.degraded,
            )
        )


def _session(value: UserValue) -> dict[str, Any] | None:
    session = value.session
    return (
        None
        if session is None
        else {"id": session.id, "began_at": session.started, "last_at": session.last, "events": session.events}
    )


def _answer_shown(decision: Decision) -> dict[str, Any]:
    return {
        "recommendation_id": decision.recommendation_id,
        "route": decision.route,
        "generated_at": decision.generated_at.timestamp(),
        "items": len(decision.items),
        "model_version": decision.model_version,
        "degraded": decision.degraded,
    }


def refuse_public(request: Request) -> None:
    """Raises ProblemError (403) for a key that browsers send, or that may name its own user alone: these calls tell of all users."""
    principal = principal_of(request.scope)
    if principal.is_public or principal.speaker is not None:
        raise ProblemError(403, "public-key", "this call tells of all users: use a key without an origin")
