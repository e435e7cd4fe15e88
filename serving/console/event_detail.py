"""One event, opened: its hops, what it changed, and the answers that knew of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from schemas.answers import Decision
from schemas.events import LoggedEvent
from schemas.log.records import OffsetToken
from serving.console.answers import Effect, EnteredAnswer, EventDetail, EventRow, EventRows, Hop
from serving.console.recent import RecentEvent
from signals.users import Entry, Term, UserValue

_MOST_ANSWERS: Final = 10


def rows_of(events: Iterable[RecentEvent], limit: int, type_: str = "", user: str = "", item_id: str = "") -> EventRows:
    """The newest events that match every filter that is given, and the number of all events by type."""
    types: dict[str, int] = {}
    rows: list[EventRow] = []
    read = 0
    for recent in events:
        read, event = read + 1, recent.event
        name = event.type if event else "?"
        types[name] = types.get(name, 0) + 1
        if len(rows) < limit and _matches(event, type_, user, item_id):
            rows.append(_row(recent))
    return EventRows(events=rows, types=dict(sorted(types.items())), read=read)


def _matches(event: LoggedEvent | None, type_: str, user: str, item_id: str) -> bool:
    if event is None:
        return type_ in {"", "?"} and not user and not item_id
    ids = (event.user_id, event.anonymous_id, event.session_id)
    return (
        (not type_ or event.type == type_) and (not user or user in ids) and (not item_id or event.item_id == item_id)
    )


def _row(recent: RecentEvent) -> EventRow:
    event = recent.event
    return EventRow(
        token=str(recent.token),
        logged_at=recent.logged_at,
        type=event.type if event else None,
        user=event.partition_key if event else None,
        item_id=event.item_id if event else None,
        query=event.query if event else None,
        recommendation_id=event.recommendation_id if event else None,
        fault=recent.fault,
    )


def detail_of(recent: RecentEvent, user: UserValue, fences: dict[str, int], answers: Iterable[Decision]) -> EventDetail:
    """Everything about an event. ``fences``: by signal, the last offset that is applied in the event's partition."""
    event = recent.event
    entered = [] if event is None else _entered(recent, event, answers)
    return EventDetail(
        token=str(recent.token),
        logged_at=recent.logged_at,
        raw=recent.value.decode("utf-8", "replace"),
        event=None if event is None else msgspec.to_builtins(event),
        fault=recent.fault,
        subject=event.subject if event else None,
        hops=[] if event is None else _hops(recent, event, entered),
        effects=[
            Effect(
                signal=signal,
                applied=fences.get(signal, -1) >= recent.token.offset,
                entries=_entries(user, recent.token.offset) if signal == "users" else [],
            )
            for signal in ("users", "aggregates")
        ],
        answers=entered,
    )


def _hops(recent: RecentEvent, event: LoggedEvent, entered: list[EnteredAnswer]) -> list[Hop]:
    received = event.received_at.timestamp()
    first = min((answer.after_ms for answer in entered if not answer.named), default=None)
    return [
        Hop(name="client_to_collector", ms=round((received - event.occurred_at.timestamp()) * 1_000, 1)),
        Hop(name="collector_to_log", ms=round((recent.logged_at - received) * 1_000, 1)),
        Hop(name="log_to_answer", ms=first),
    ]


def _entries(user: UserValue, offset: int) -> list[dict[str, Any]]:
    """What the user's value holds of the event at this offset."""
    kept = [*user.recent, *(entry for entries in user.older.values() for entry in entries)]
    entries = [entry_shown(entry) for entry in kept if entry.offset == offset]
    return entries + [term_shown(term) for term in user.terms if term.offset == offset]


def entry_shown(entry: Entry) -> dict[str, Any]:
    """An entry of a user's value, without its hashes."""
    shown = {
        "type": entry.type,
        "item_id": entry.item,
        "at": entry.at,
        "value": entry.value,
        "position": entry.position,
        "context": list(entry.context),
        "offset": entry.offset,
    }
    return {name: value for name, value in shown.items() if value not in (None, [])}


def term_shown(term: Term) -> dict[str, Any]:
    """A search of a user's value."""
    return {"type": "search", "query": term.query, "at": term.at, "items": list(term.items), "offset": term.offset}


def _entered(recent: RecentEvent, event: LoggedEvent, answers: Iterable[Decision]) -> list[EnteredAnswer]:
    entered = [
        EnteredAnswer(
            recommendation_id=decision.recommendation_id,
            route=decision.route,
            generated_at=decision.generated_at.timestamp(),
            after_ms=round((decision.generated_at.timestamp() - recent.logged_at) * 1_000, 1),
            named=decision.recommendation_id == event.recommendation_id,
            because=_because(decision, event.item_id),
        )
        for decision in answers
        if decision.recommendation_id == event.recommendation_id or knew_of(decision, event, recent.token)
    ]
    return sorted(entered, key=lambda answer: answer.generated_at)[:_MOST_ANSWERS]


def knew_of(decision: Decision, event: LoggedEvent, token: OffsetToken) -> bool:
    """True if the answer was for the event's user, and its signals had passed the event."""
    request = decision.request
    ids = {request.user_id, request.anonymous_id, request.session_id} - {None}
    if event.partition_key not in ids or not decision.signals_offset:
        return False
    signals = OffsetToken.parse(decision.signals_offset)
    return signals.partition == token.partition and signals.offset >= token.offset


def _because(decision: Decision, item_id: str | None) -> list[str]:
    """The items of an answer that have this item among their reasons."""
    return [
        item.item_id
        for item in decision.items
        if item_id is not None and any(reason.item_id == item_id for reason in item.reasons)
    ]
