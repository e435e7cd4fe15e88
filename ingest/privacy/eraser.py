"""Takes erasures through their places: follows the notices of ``forget``, and repeats what is not done.

Several processes may run one; whoever holds the lease works. Nothing is lost with a process: each step begins with what
is stored, and every place can be reached twice.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain
from typing import Final

import structlog

from ingest.privacy.erasure import ENDED, PLACES, Erasure, Erasures, new_erasure
from ingest.privacy.link_search import LinkSearch
from ingest.privacy.person import Person, linked, named_beside
from ingest.privacy.places import AT_ONCE, NEEDS, STEPS, Places
from ingest.privacy.requests import attributes_entry, forget_entry, id_of, user_ids
from ingest.privacy.stores import ErasureStores, append_all
from schemas.erasures import ErasedPlace, ForgetNotice, decode_notice
from schemas.errors import FreshetError, LeaseLost, LeaseTaken, Undecodable
from schemas.keys import Signal
from schemas.log import topics
from schemas.log.reading import records_between
from schemas.log.records import OffsetToken, Record
from schemas.log.topics import partition_of
from schemas.values.passivated import bucket_key, is_held

LEASE: Final = "erasures"
LOOK_SECONDS: Final = 0.25
"""Pause between two looks for new notices."""
STEP_SECONDS: Final = 0.1
"""Pause between two steps of an erasure that can go on."""
PATIENT_SECONDS: Final = 10.0
"""Pause between two steps of erasures that only wait: for a training, a run of the archive, a server."""
FIRST_NUMBER: Final = 10
"""Number of the first ``forget`` that is appended here. Those that the request itself appends have smaller ones."""
NOBODY: Final = Person({})
_BATCH: Final = 500

_log = structlog.get_logger(__name__)


class Eraser:
    """One worker at erasures; for one thread."""

    def __init__(self, stores: ErasureStores) -> None:
        self._stores = stores
        self._erasures = Erasures(stores.documents)
        self._partitions: int | None = None
        self._read: dict[int, int] = {}
        self._notices: dict[str, dict[OffsetToken, ForgetNotice]] = {}
        self._untaken: list[tuple[OffsetToken, ForgetNotice]] = []
        self._due = 0.0
        self._search = LinkSearch(stores.signals, lambda: stores.reader.partitions(topics.EVENTS))
        self._token: int | None = None

    def step(self) -> bool:
        """Looks once, and does what is due. Returns True if there is more to do soon. Raises FreshetError, OSError."""
        new = list(self._new_notices())
        self._untaken += new
        now = self._stores.clock()
        if not new and now < self._due:
            return False
        try:
            with self._leased():
                self._take(self._untaken)
                self._untaken = []
                soon = self._go_on()
        except (LeaseTaken, LeaseLost):
            soon = False
        self._due = now + (STEP_SECONDS if soon else PATIENT_SECONDS)
        return soon

    @contextmanager
    def _leased(self) -> Iterator[None]:
        """Holds the lease, and keeps it between two steps of a pass: another process would read all values too."""
        lease, token = self._stores.lease, self._token
        self._token = None
        if token is None:
            token = lease.acquire(LEASE, f"pid {os.getpid()} on {socket.gethostname()}", self._stores.clock())
        else:
            lease.renew(LEASE, token)
        try:
            yield
        finally:
            if self._search.is_reading:
                self._token = token
            else:
                lease.release(LEASE, token)

    def _new_notices(self) -> Iterator[tuple[OffsetToken, ForgetNotice]]:
        """The notices that this process has not read; all that the log still has when it begins."""
        reader = self._stores.reader
        if self._partitions is None:
            self._partitions = reader.partitions(topics.ERASURES)
        for partition in range(self._partitions):
            begin, end = reader.bounds(topics.ERASURES, partition)
            offset = max(begin, self._read.get(partition, 0))
            while offset < end and (records := reader.read(topics.ERASURES, partition, offset, _BATCH)):
                for record in records:
                    offset = record.offset + 1
                    if record.value is not None and (notice := _notice(record.value)) is not None:
                        yield OffsetToken(partition, record.offset), notice
                self._read[partition] = offset

    def _take(self, new: list[tuple[OffsetToken, ForgetNotice]]) -> None:
        """Adds notices to their erasures, which begin with their first notice."""
        opened = self._erasures.open()
        for token, notice in new:
            erasure_id = self._stores.secret.erasure_id(notice.event_id)
            erasure = self._erasures.find(erasure_id) or new_erasure(
                erasure_id, self._stores.secret.person(notice.subject), notice.at
            )
            is_known = _is_known(erasure, notice)
            if is_known and erasure.place("remnants").state == "done":
                continue  # it is complete, or a rebuild of the signals has met the same forget again
            self._notices.setdefault(erasure_id, {})[token] = notice
            if token not in erasure.notices:
                self._add(erasure, token, notice, is_known=is_known)
                opened.append(erasure_id)
        self._erasures.set_open(opened)

    def _add(self, erasure: Erasure, token: OffsetToken, notice: ForgetNotice, *, is_known: bool) -> None:
        erasure.notices.append(token)
        if is_known:
            self._erasures.put(erasure)
            return
        erasure.forgets.append((notice.log_id, notice.partition, notice.offset))
        person = self._stores.secret.person(notice.subject)
        erasure.sent = list(dict.fromkeys((*erasure.sent, person)))
        # A subject that came to light late has to be reached everywhere.
        erasure.versions, erasure.link_ends, erasure.links_searched = [], [], False
        for name in PLACES:
            erasure.put(ErasedPlace(place=name, state="pending"))
        self._erasures.put(erasure)

    def _go_on(self) -> bool:
        """One step of each open erasure. Returns True if one can go on soon."""
        opened, soon = [], False
        for erasure_id in self._erasures.open():
            erasure = self._erasures.find(erasure_id)
            if erasure is None:
                continue
            erasure.add_missing_places()
            soon |= self._advance(erasure)
            if not erasure.ended():
                opened.append(erasure_id)
            else:
                self._notices.pop(erasure_id, None)
                _log.info("erasure_complete", erasure_id=erasure_id)
        self._erasures.set_open(opened)
        soon |= self._search.step()
        return soon

    def _advance(self, erasure: Erasure) -> bool:
        """Reaches the places that can be reached now. Returns True if something changed."""
        before = erasure.receipt.places
        notices = self._notices.get(erasure.receipt.erasure_id, {})
        if notices:
            self._reach_all(erasure, notices)
        if len(erasure.forgets) >= len(erasure.sent):
            self._try("models", erasure, NOBODY)
        erasure.receipt = self._stores.secret.sign(erasure.receipt)
        self._erasures.put(erasure)
        return erasure.receipt.places != before or not erasure.ended(AT_ONCE)

    def _reach_all(self, erasure: Erasure, notices: dict[OffsetToken, ForgetNotice]) -> None:
        person = self._person(erasure, notices)
        links = {subject for notice in notices.values() for subject in linked(notice)}
        if self._end_attributes(erasure, person) or self._forget_too(erasure, person, links):
            return
        self._try_each(AT_ONCE, erasure, person)
        if not erasure.ended(AT_ONCE):
            return
        if erasure.searched != len(person.notices):
            erasure.searched = len(person.notices)
            if self._forget_too(erasure, person, self._beside(person)):
                return
        if len(erasure.sent) > len(person.notices):
            return  # a worker has not applied each forget yet
        self._try_each(STEPS, erasure, person)
        if erasure.place("remnants").state == "done":
            self._notices.pop(erasure.receipt.erasure_id, None)

    def _person(self, erasure: Erasure, notices: dict[OffsetToken, ForgetNotice]) -> Person:
        by_subject: dict[str, ForgetNotice] = {}
        for notice in sorted(notices.values(), key=lambda notice: notice.offset):
            by_subject[notice.subject] = notice
        named = {user_id: self._stores.secret.person(user_id) for user_id in user_ids(by_subject)}
        deletes = {
            user_id: OffsetToken.parse(erasure.deletes[hashed])
            for user_id, hashed in named.items()
            if hashed in erasure.deletes
        }
        return Person(by_subject, deletes)

    def _try_each(self, names: Iterable[str], erasure: Erasure, person: Person) -> None:
        for name in names:
            if erasure.place(name).state not in ENDED and erasure.ended(NEEDS.get(name, ())):
                self._try(name, erasure, person)

    def _end_attributes(self, erasure: Erasure, person: Person) -> bool:
        """Appends the end of the users' attributes where nobody has. True if it appended."""
        missing = [user_id for user_id in person.user_ids if user_id not in person.deletes]
        if missing:
            entries = [attributes_entry(user_id, self._now()) for user_id in missing]
            for user_id, token in zip(missing, append_all(self._stores.writer, topics.USERS, entries), strict=True):
                erasure.deletes[self._stores.secret.person(user_id)] = str(token)
        return bool(missing)

    def _forget_too(self, erasure: Erasure, person: Person, subjects: set[str]) -> bool:
        """Appends a ``forget`` of each of these subjects for which there is none. True if it appended."""
        hashed = {subject: self._stores.secret.person(subject) for subject in sorted(subjects - person.notices.keys())}
        more = [subject for subject, person_hash in hashed.items() if person_hash not in erasure.sent]
        if more:
            first = FIRST_NUMBER + len(erasure.sent)
            entries = [
                forget_entry(erasure.receipt.erasure_id, first + count, subject, self._now())
                for count, subject in enumerate(more)
            ]
            append_all(self._stores.writer, topics.EVENTS, entries)
            erasure.sent.extend(hashed[subject] for subject in more)
        return bool(more)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._stores.clock(), UTC)

    def _beside(self, person: Person) -> set[str]:
        """The subjects that the person's records name: guests that the user was, and sessions before a visitor had an id."""
        texts = person.texts
        stored = (
            record
            for records in (*self._stores.logged[:1], *self._stores.archived)
            for log_id, record in records.find(topics.EVENTS, texts)
            if person.has_event(log_id, record)
        )
        found = named_beside(chain(stored, () if self._stores.logged else self._on_log(person)), person)
        return {subject for subject in found if subject.startswith("a:") or self._is_held(subject)}

    def _on_log(self, person: Person) -> Iterator[Record]:
        """The person's events on a log that cannot be searched: the partitions of the person are read."""
        keys = {id_of(subject).encode() for subject in person.notices}
        ends: dict[int, int] = {}
        for notice in person.notices.values():
            ends[notice.partition] = max(ends.get(notice.partition, 0), notice.offset)
        log_id = self._stores.reader.log_id(topics.EVENTS)
        for partition, end in sorted(ends.items()):
            begin, _ = self._stores.reader.bounds(topics.EVENTS, partition)
            records = records_between(self._stores.reader, topics.EVENTS, partition, begin, end)
            yield from (record for record in records if record.key in keys and person.has_event(log_id, record))

    def _is_held(self, subject: str) -> bool:
        partition = partition_of(id_of(subject).encode(), self._stores.reader.partitions(topics.EVENTS))
        value, bucket = self._stores.signals.load(partition, Signal.USERS, [subject, bucket_key(subject)])
        return is_held(subject, value, bucket)

    def _try(self, name: str, erasure: Erasure, person: Person) -> None:
        try:
            changed = Places(self._stores, erasure, person, self._search).reach(name)
        except (FreshetError, OSError) as error:
            _log.warning("place_not_erased", place=name, erasure_id=erasure.receipt.erasure_id, reason=str(error))
            changed = ErasedPlace(place=name, state="failed", detail=f"{error}; it is tried again"[:500])
        erasure.put(changed)


def _is_known(erasure: Erasure, notice: ForgetNotice) -> bool:
    return (notice.log_id, notice.partition, notice.offset) in erasure.forgets


def _notice(value: bytes) -> ForgetNotice | None:
    try:
        return decode_notice(value)
    except Undecodable as error:
        _log.warning("not_a_notice", reason=str(error))
        return None
