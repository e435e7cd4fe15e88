"""What belongs to the person of an erasure: which records, and up to which. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec

from ingest.privacy.requests import id_of, user_ids
from schemas.catalogue import decode_upsert
from schemas.decision_codec import decode_decision
from schemas.erasures import ForgetNotice
from schemas.errors import UNREADABLE, Undecodable
from schemas.events import LoggedEvent
from schemas.keys import anonymous_key, session_key
from schemas.log.dead_letters import decode_dead_letter
from schemas.log.records import OffsetToken, Record
from signals.compact import expand

_EVENT: Final = msgspec.json.Decoder(LoggedEvent)
_GUEST, _SESSION = anonymous_key(""), session_key("")


@dataclass(frozen=True)
class Person:
    """The subjects of an erasure, each with the notice of its ``forget``: what came later is kept."""

    notices: Mapping[str, ForgetNotice]
    deletes: Mapping[str, OffsetToken] = field(default_factory=dict)
    """By user id, where the topic of users says that the attributes end."""

    @property
    def subjects(self) -> tuple[str, ...]:
        """The keys of the values that were emptied."""
        return tuple(self.notices)

    @property
    def user_ids(self) -> list[str]:
        """The ids of known users."""
        return user_ids(self.notices)

    @property
    def guests(self) -> frozenset[str]:
        """The ids of guests."""
        return frozenset(id_of(subject) for subject in self.notices if subject.startswith(_GUEST))

    @property
    def last_at(self) -> datetime:
        """The time of the last ``forget``."""
        return max(notice.at for notice in self.notices.values())

    @property
    def texts(self) -> list[bytes]:
        """The bytes by which records of the person are found: each id, as it is and as JSON writes it."""
        ids = {id_of(subject) for subject in self.notices}
        return sorted({text for id_ in ids for text in (id_.encode(), msgspec.json.encode(id_)[1:-1])})

    def has_event(self, log_id: str, record: Record) -> bool:
        """True if an event is the person's, and from before the ``forget``, or the ``forget`` itself.

        Bytes that are no event are the person's if their key is, or if they name the person.
        """
        event = decoded_event(record)
        if event is None:
            return self._has_broken(log_id, record)
        notice = self.notices.get(event.subject)
        return notice is not None and (log_id != notice.log_id or record.offset <= notice.offset)

    def _has_broken(self, log_id: str, record: Record) -> bool:
        return any(
            self._is_before(log_id, record, notice)
            for subject, notice in self.notices.items()
            # A session's name may be the id of somebody else.
            if not subject.startswith(_SESSION) and _names(record.key, record.value or b"", id_of(subject))
        )

    def _is_before(self, log_id: str, record: Record, notice: ForgetNotice) -> bool:
        """True if a record came before a ``forget``; by the time of the log where they are on different partitions."""
        if (log_id, record.partition) == (notice.log_id, notice.partition):
            return record.offset <= notice.offset
        return record.timestamp_ms <= notice.at.timestamp() * 1_000

    def has_upsert(self, record: Record) -> bool:
        """True if a record of the topic of users is the person's, and from before the end of the attributes."""
        try:
            token = self.deletes.get(decode_upsert(record.value or b"").id)
        except Undecodable:
            is_named = any(_names(record.key, record.value or b"", user_id) for user_id in self.deletes)
            return is_named and record.timestamp_ms <= self.last_at.timestamp() * 1_000
        return token is not None and (record.partition != token.partition or record.offset <= token.offset)

    def has_dead_letter(self, record: Record) -> bool:
        """True if a dead letter holds a record that names the person; a broken record is searched for the ids."""
        try:
            letter = decode_dead_letter(record.value or b"")
            key, value = base64.b64decode(letter.key), letter.original()
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
            return self._is_keyed(record.key) and record.timestamp_ms <= self.last_at.timestamp() * 1_000
        if letter.at > self.last_at:
            return False
        return any(_names(key, value, id_of(subject)) for subject in self.notices)

    def has_decision(self, record: Record, until: datetime) -> bool:
        """True if an answer until this time was made for the person, or from a value of the person or with a link to a guest."""
        try:
            decision = decode_decision(record.value or b"")
        except Undecodable:
            return False
        request = decision.request
        asked = {
            f"u:{request.user_id}",
            anonymous_key(request.anonymous_id or ""),
            session_key(request.session_id or ""),
        }
        return decision.generated_at <= until and bool(
            asked & self.notices.keys()
            or self.notices.keys() & decision.inputs.keys()
            or any(self._is_linked_in(data) for data in decision.inputs.values())
        )

    def _is_linked_in(self, data: bytes) -> bool:
        """True if a packed value of another user links a guest of the person."""
        if not any(guest.encode() in data for guest in self.guests):
            return False  # to search bytes is faster than to decode them
        try:
            return not self.guests.isdisjoint(expand(data).links)
        except UNREADABLE:
            return True

    def _is_keyed(self, key: bytes) -> bool:
        return any(key == id_of(subject).encode() for subject in self.notices)


def _names(key: bytes, value: bytes, id_: str) -> bool:
    """True if the record of these bytes names an id: as its key, or as a text of JSON."""
    return key == id_.encode() or f'"{id_}"'.encode() in value or msgspec.json.encode(id_) in value


def linked(notice: ForgetNotice) -> list[str]:
    """The subjects that a notice links to its own: the guests that the user was."""
    return [anonymous_key(link) for link in notice.links]


def named_beside(records: Iterable[Record], person: Person) -> set[str]:
    """The guests and sessions that events of the person's name: each ``identify`` links a guest."""
    found: set[str] = set()
    for event in filter(None, map(decoded_event, records)):
        if event.subject in person.notices:
            found |= named_beside_event(event)
    return found - person.notices.keys()


def named_beside_event(event: LoggedEvent) -> set[str]:
    """The guest that an ``identify`` links to its user, and the session that an event names."""
    guest = event.anonymous_id if event.type == "identify" else None
    return {*([anonymous_key(guest)] if guest else []), *([session_key(event.session_id)] if event.session_id else [])}


def tombstone(record: Record) -> Record:
    """The record that stays at the coordinates of an erased one."""
    return record._replace(key=b"", value=None)


def decoded_event(record: Record) -> LoggedEvent | None:
    """The event of a record; None if it is none."""
    try:
        return _EVENT.decode(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
