"""Whose records an export holds: the id in the path, the guests that ``identify`` has linked to it, and their sessions. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ingest.privacy.person import decoded_event, named_beside_event
from ingest.privacy.requests import id_of, subjects_of
from schemas.events import LoggedEvent
from schemas.log.records import Record


class ExportSubjects:
    """The keys of the person's values in the ``users`` signal. It learns more of them from the person's events."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self.keys = set(subjects_of(user_id))
        self.record_keys = {user_id.encode()}
        """The keys of the log's records."""

    @property
    def has_sessions(self) -> bool:
        """True if a session is known beside the id in the path."""
        return any(key.startswith("s:") and id_of(key) != self.user_id for key in self.keys)

    def add(self, keys: Iterable[str]) -> set[str]:
        """Adds keys; returns those that are new."""
        new = set(keys) - self.keys
        self.keys |= new
        self.record_keys |= {id_of(key).encode() for key in new}
        return new

    def named_in(self, record: Record) -> set[str]:
        """The guests and sessions that a record names, if it is the person's."""
        event = self._own_event(record)
        return set() if event is None else named_beside_event(event)

    def has(self, record: Record) -> bool:
        """True if a record of the topic of events is the person's.

        A record that is no event counts by its key, but not by that of a session: another person's id may be the same text.
        """
        if record.key not in self.record_keys or record.value is None:
            return False
        event = decoded_event(record)
        return event.subject in self.keys if event else self._is_named(record.key)

    def _own_event(self, record: Record) -> LoggedEvent | None:
        event = decoded_event(record) if record.key in self.record_keys else None
        return event if event is not None and event.subject in self.keys else None

    def _is_named(self, key: bytes) -> bool:
        id_ = key.decode("utf-8", "replace")
        return id_ == self.user_id or f"a:{id_}" in self.keys
