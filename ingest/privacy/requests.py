"""The log entries that ask for an erasure: a ``forget`` for each kind of id, and the end of a user's attributes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from schemas.catalogue import Upsert, encode_upsert
from schemas.events import LoggedEvent
from schemas.keys import anonymous_key, session_key, user_key
from schemas.log.codec import encode_event
from schemas.log.records import LogEntry

_FIELDS: Final = {"u": "user_id", "a": "anonymous_id", "s": "session_id"}


def subjects_of(id_: str) -> tuple[str, ...]:
    """The keys of all that may be kept under one id: of a user, of a guest and of a session."""
    return user_key(id_), anonymous_key(id_), session_key(id_)


def id_of(subject: str) -> str:
    """The id in a key of ``schemas.keys``."""
    return subject[2:]


def user_ids(subjects: Iterable[str]) -> list[str]:
    """The ids of those subjects that are known users."""
    return [id_of(subject) for subject in subjects if subject.startswith("u:")]


def forget_entry(erasure_id: str, number: int, subject: str, now: datetime) -> LogEntry:
    """The ``forget`` of one subject, as part of an erasure."""
    event = LoggedEvent(event_id=f"{erasure_id}:{number}", type="forget", occurred_at=now, received_at=now)
    event = msgspec.structs.replace(event, **{_FIELDS[subject[0]]: id_of(subject)})
    return LogEntry(event.partition_key.encode(), encode_event(event))


def attributes_entry(user_id: str, now: datetime) -> LogEntry:
    """The end of a user's attributes."""
    return LogEntry(user_id.encode(), encode_upsert(Upsert(id=user_id, op="delete", received_at=now)))
