"""Validates the usual row of a data set (ids, a number and a time) without pydantic, in half the time.

It leaves any event that may be invalid to ``ingest.validation.validate``, which names the fault.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ingest.validation.validate import Accepted, Policy
from schemas.events import DWELL_RANGE, EARLIEST, ITEM_TYPES, MAX_AHEAD, TYPES, VALUED_TYPES, LoggedEvent
from schemas.log.codec import encode_event
from schemas.log.records import LogEntry
from schemas.values.ids import MAX_EVENT_ID, MAX_ID, is_placeholder

_FIELDS: Final = frozenset(
    {"event_id", "type", "user_id", "anonymous_id", "session_id", "item_id", "value", "occurred_at"}
)
_NEEDS_MORE: Final = (TYPES - ITEM_TYPES) | {"impression"}


def accept_simple_event(raw: Mapping[str, Any], now: datetime, allowed: Policy) -> Accepted | None:
    """The event's log entry, equal to that of ``validate_event``; None if only that function can decide."""
    # Such a row has no context, so it has no consent.
    if allowed.consent != "off":
        return None
    if not (_FIELDS.issuperset(raw) and _is_simple_type(raw.get("type"), allowed) and _identified(raw, allowed)):
        return None
    value, occurred_at = raw.get("value"), raw.get("occurred_at")
    if not (_timely(occurred_at, now) and _valued(value, raw["type"], allowed)):
        return None
    event = LoggedEvent(**{**raw, "occurred_at": occurred_at or now}, received_at=now, imported=allowed.imports)
    kept = allowed.kept(event)
    return Accepted(event.event_id, event.type, LogEntry(kept.partition_key.encode(), encode_event(kept)))


def _is_simple_type(kind: Any, allowed: Policy) -> bool:
    return kind.__class__ is str and kind in allowed.types and kind not in _NEEDS_MORE


def _identified(raw: Mapping[str, Any], allowed: Policy) -> bool:
    if not (_id(raw.get("event_id"), MAX_EVENT_ID) and _id(raw.get("item_id"))):
        return False
    user, anonymous, session = raw.get("user_id"), raw.get("anonymous_id"), raw.get("session_id")
    return (
        (user is None or _id(user))
        and (anonymous is None or _visitor(anonymous, allowed))
        and (session is None or _visitor(session, allowed))
        and (user or anonymous or session) is not None
    )


def _id(value: Any, limit: int = MAX_ID) -> bool:
    # Printable text is a part of what is allowed, and is checked faster than a pattern.
    return (
        value.__class__ is str
        and 0 < len(value) <= limit
        and value.isprintable()
        and value[0] != " " != value[-1]
        and value[0] != "["
    )


def _visitor(value: Any, allowed: Policy) -> bool:
    return _id(value) and not is_placeholder(value, allowed.placeholders)


def _valued(value: Any, kind: str, allowed: Policy) -> bool:
    if value is None:
        return kind not in VALUED_TYPES
    if value.__class__ is not float or not math.isfinite(value):
        return False
    if kind == "rating":
        return allowed.scale.holds(value)
    return kind != "dwell" or DWELL_RANGE[0] <= value <= DWELL_RANGE[1]


def _timely(time: Any, now: datetime) -> bool:
    return time is None or (time.__class__ is datetime and time.tzinfo is UTC and EARLIEST <= time <= now + MAX_AHEAD)
