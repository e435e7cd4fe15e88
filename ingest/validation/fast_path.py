"""Validates the usual row of a data set (ids, a number and a time) without pydantic, in half the time.

It leaves any event that may be invalid to ``ingest.validation.validate``, which names the fault.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ingest.validation.validate import Accepted, Policy
from schemas.events import EARLIEST, ITEM_TYPES, MAX_AHEAD, TYPES, VALUED_TYPES, LoggedEvent
from schemas.log.codec import encode_event
from schemas.log.records import LogEntry

_FIELDS: Final = frozenset(
    {"event_id", "type", "user_id", "anonymous_id", "session_id", "item_id", "value", "occurred_at"}
)
_NEEDS_MORE: Final = (TYPES - ITEM_TYPES) | {"impression"}


def accept_simple_event(raw: Mapping[str, Any], now: datetime, allowed: Policy) -> Accepted | None:
    """The event's log entry, equal to that of ``validate_event``; None if only that function can decide."""
    if not (_FIELDS.issuperset(raw) and _is_simple_type(raw.get("type"), allowed) and _identified(raw)):
        return None
    value, occurred_at = raw.get("value"), raw.get("occurred_at")
    if not (_timely(occurred_at, now) and _valued(value, raw["type"])):
        return None
    event = LoggedEvent(**{**raw, "occurred_at": occurred_at or now}, received_at=now)
    return Accepted(event.event_id, event.type, LogEntry(event.partition_key.encode(), encode_event(event)))


def _is_simple_type(kind: Any, allowed: Policy) -> bool:
    return kind.__class__ is str and kind in allowed.types and kind not in _NEEDS_MORE


def _identified(raw: Mapping[str, Any]) -> bool:
    event_id, user = raw.get("event_id"), raw.get("user_id")
    if not (_id(event_id, 64) and _id(raw.get("item_id"))):
        return False
    anonymous, session = raw.get("anonymous_id"), raw.get("session_id")
    ids = [id_ for id_ in (user, anonymous, session) if id_ is not None]
    return bool(ids) and all(map(_id, ids))


def _id(value: Any, limit: int = 128) -> bool:
    # All printable text is allowed, and this check is faster than a pattern.
    return value.__class__ is str and 0 < len(value) <= limit and value.isprintable()


def _valued(value: Any, kind: str) -> bool:
    return kind not in VALUED_TYPES if value is None else value.__class__ is float and math.isfinite(value)


def _timely(time: Any, now: datetime) -> bool:
    return time is None or (time.__class__ is datetime and time.tzinfo is UTC and EARLIEST <= time <= now + MAX_AHEAD)
