"""The lines of each file of an export. Nothing is kept in memory but the ids of the person's guests and sessions."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from ingest.privacy.export.plain import plain, plain_decision
from ingest.privacy.export.records import BATCH, HeldRecord, RecordScan, checked
from ingest.privacy.export.stores import Check, ExportStores
from ingest.privacy.export.subjects import ExportSubjects
from ingest.privacy.requests import id_of
from models.structures.lists import USERS, ScoredList
from schemas.answers import Decision, RecommendationRequest
from schemas.catalogue import Upsert, decode_profile, decode_upsert
from schemas.decision_codec import decode_decision
from schemas.errors import UNREADABLE, Undecodable
from schemas.keys import Signal, anonymous_key, session_key, user_key
from schemas.log import topics
from schemas.log.reading import records_between
from schemas.log.records import Record
from schemas.log.topics import partition_of
from signals import user_codec

Line = dict[str, Any]
_RECOMMENDATION_ID: Final = re.compile(rb"[0-9a-f]{32}")
"""Answers to visitors without an id are recorded under such a key."""


class ExportContents:
    """What is held on one person; each method yields the lines of one file. Raises FreshetError, OSError."""

    def __init__(self, stores: ExportStores, user_id: str, check: Check) -> None:
        self._stores, self._user_id, self._check = stores, user_id, check
        self._subjects = ExportSubjects(user_id)
        self._scan = RecordScan(stores.reader, stores.archive, check)

    def probe(self) -> None:
        """Asks each store once, so that one that is away is known before anything is sent."""
        self._stores.reader.log_id(topics.EVENTS)
        self._stores.models.active()
        self._value(Signal.USERS, user_key(self._user_id), user_key(self._user_id))
        for reader in self._stores.answers:
            reader.partitions(topics.ANSWERS)

    def lists(self) -> Iterator[Line]:
        """The precomputed lists of the user in each stored model version."""
        active = self._stores.models.active()
        for manifest in self._stores.models.versions():
            self._check()
            if (data := self._stores.models.entry(manifest.version, USERS, self._user_id)) is not None:
                items = [{"item_id": item_id, "score": score} for item_id, score in ScoredList.load(data)]
                yield {"model_version": manifest.version, "active": manifest.version == active, "items": items}

    def attributes(self) -> Iterator[Line]:
        """Each change of the user's attributes."""
        for held in self._scan.records(topics.USERS, [self._user_id.encode()]):
            if (upsert := _upsert(held.record)) is not None and upsert.id == self._user_id:
                yield _line(held, "change", msgspec.to_builtins(upsert))

    def signals(self) -> Iterator[Line]:
        """The stored values: the memory of the user, of each guest and session, and the current attributes."""
        self._find_subjects()
        for subject in sorted(self._subjects.keys):
            self._check()
            if (data := self._value(Signal.USERS, subject, id_of(subject))) is not None:
                yield {"signal": "users", "subject": subject, "value": _user_value(data)}
        if (data := self._value(Signal.PROFILES, self._user_id, self._user_id)) is not None:
            yield {"signal": "profiles", "subject": user_key(self._user_id), "value": _profile(data)}

    def events(self) -> Iterator[Line]:
        """The raw events."""
        for held in self._scan.records(topics.EVENTS, self._subjects.record_keys):
            if self._subjects.has(held.record):
                yield _line(held, "event", _json(held.record.value or b""))

    def answers(self) -> Iterator[Line]:
        """The records of the answers that the person was given."""
        own = self._subjects.keys
        for record in self._answer_records():
            decision = _decision(record) if self._may_be_answer(record.key) else None
            if decision is not None and _answered(decision.request) in own:
                answer = plain_decision(decision, own)
                yield {"partition": record.partition, "offset": record.offset, "answer": answer}

    def _find_subjects(self) -> None:
        """Reads the person's events for guests and sessions, and the events of those for more, until there are no more."""
        new = {user_key(self._user_id)}
        while new:
            keys = [id_of(key).encode() for key in new]
            new = set()
            for held in self._scan.records(topics.EVENTS, keys):
                new |= self._subjects.add(self._subjects.named_in(held.record))

    def _answer_records(self) -> Iterator[Record]:
        for reader in self._stores.answers:
            for partition in range(reader.partitions(topics.ANSWERS)):
                begin, end = reader.bounds(topics.ANSWERS, partition)
                records = records_between(reader, topics.ANSWERS, partition, begin, end, BATCH)
                yield from checked(records, self._check)

    def _may_be_answer(self, key: bytes) -> bool:
        is_nameless = self._subjects.has_sessions and _RECOMMENDATION_ID.fullmatch(key) is not None
        return is_nameless or key in self._subjects.record_keys

    def _value(self, signal: Signal, key: str, partition_key: str) -> bytes | None:
        topic = topics.EVENTS if signal is Signal.USERS else topics.USERS
        partition = partition_of(partition_key.encode(), self._stores.reader.partitions(topic))
        return self._stores.signals.load(partition, signal, [key])[0]


def _line(held: HeldRecord, name: str, value: Any) -> Line:
    record = held.record
    place = {"partition": record.partition, "offset": record.offset, "logged_at_ms": record.timestamp_ms}
    return {"log_id": held.log_id, **place, name: value}


def _json(value: bytes) -> Any:
    """The value as JSON has it, with fields that no release knows; bytes that are no JSON as base64."""
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {"undecodable_base64": base64.b64encode(value).decode()}


def _upsert(record: Record) -> Upsert | None:
    try:
        return decode_upsert(record.value or b"")
    except Undecodable:
        return None


def _decision(record: Record) -> Decision | None:
    try:
        return decode_decision(record.value or b"")
    except Undecodable:
        return None


def _answered(request: RecommendationRequest) -> str:
    """The key of the person that an answer was for."""
    if request.user_id:
        return user_key(request.user_id)
    return anonymous_key(request.anonymous_id) if request.anonymous_id else session_key(request.session_id or "")


def _user_value(data: bytes) -> Any:
    try:
        return plain(user_codec.decode(data))
    except UNREADABLE:
        return {"undecodable_base64": base64.b64encode(data).decode()}


def _profile(data: bytes) -> Any:
    try:
        return msgspec.to_builtins(decode_profile(data))
    except UNREADABLE:
        return {"undecodable_base64": base64.b64encode(data).decode()}
