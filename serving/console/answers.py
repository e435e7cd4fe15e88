"""What the calls of the console answer, as OpenAPI documents it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from schemas.http.described import PATH_ID, problems
from schemas.json_schema import schema_of
from serving.console.outcomes import Outcomes


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures over time: for each name as many values as there are times; null where a value is not known."""

    at: Annotated[float, msgspec.Meta(description="The time of the answer, seconds since 1970.")]
    times: list[float]
    series: dict[str, list[float | None]]
    newest: dict[str, float | None]
    unmeasured: Annotated[list[str], msgspec.Meta(description="Figures that this process does not measure.")]


class RecentOutcomes(Outcomes, frozen=True, kw_only=True):
    """What people did with the newest answers, and how many visitors are active."""

    active_visitors: int


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the log, in short."""

    token: Annotated[str, msgspec.Meta(description="Partition and offset.")]
    logged_at: float
    type: str | None
    user: Annotated[str | None, msgspec.Meta(description="user_id, else anonymous_id, else session_id.")]
    item_id: str | None
    query: str | None
    recommendation_id: str | None
    fault: Annotated[str, msgspec.Meta(description="Why it cannot be decoded; empty if it can.")]


class EventRows(msgspec.Struct, frozen=True, kw_only=True):
    """The newest events, newest first."""

    events: list[EventRow]
    types: Annotated[dict[str, int], msgspec.Meta(description="Events by type, of all that are kept in memory.")]
    read: Annotated[int, msgspec.Meta(description="How many of the newest events were looked through.")]


class Hop(msgspec.Struct, frozen=True, kw_only=True):
    """One step of an event's way, and the milliseconds that it took; null where nobody measured it."""

    name: str
    ms: float | None


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What an event is in one signal."""

    signal: str
    applied: Annotated[bool, msgspec.Meta(description="True once the fence of its partition has passed the event.")]
    entries: list[dict[str, Any]]


class EnteredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that knew of the event, or that the event names."""

    recommendation_id: str
    route: str
    generated_at: float
    after_ms: Annotated[float, msgspec.Meta(description="Milliseconds from the log's acceptance to the answer.")]
    named: Annotated[bool, msgspec.Meta(description="True if the event names this answer: it came from its list.")]
    because: Annotated[list[str], msgspec.Meta(description="Items of the answer that came from the event's item.")]


class EventDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One event: its bytes, what was made of it, its way and its effects."""

    token: str
    logged_at: float
    raw: str
    event: dict[str, Any] | None
    fault: str
    subject: str | None
    hops: list[Hop]
    effects: list[Effect]
    answers: list[EnteredAnswer]


class UserSignals(msgspec.Struct, frozen=True, kw_only=True):
    """What the signals hold of a user: the newest entries first."""

    user_id: str
    signals_offset: str | None
    recent: list[dict[str, Any]]
    searches: list[dict[str, Any]]
    session: dict[str, Any] | None
    visits: int
    seen: int
    links: list[str]
    counters: dict[str, int]
    answers: list[dict[str, Any]]
    degraded: list[str]


def described(
    operation_id: str, summary: str, answer: type[msgspec.Struct], *statuses: int, path: str | None = None
) -> dict[str, Any]:
    """Keyword arguments of a route: its operation id, its summary, its answer, its problems, and the id in its path."""
    response = {"description": summary, "content": {"application/json": {"schema": schema_of(answer)}}}
    return {
        "tags": ["console"],
        "operation_id": operation_id,
        "summary": summary,
        "response_model": None,
        "responses": {200: response, **problems(*statuses)},
        "openapi_extra": {"parameters": [{"name": path, "in": "path", "required": True, "schema": PATH_ID}]}
        if path
        else None,
    }
