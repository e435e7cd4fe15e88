"""The places of an erasure: each step looks, does what is left to do, and returns the place's new state.

All are idempotent: after a crash they are called again. Their failures are the ports' errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from zlib import crc32

import msgspec

from ingest.privacy.erasure import PLACES, Erasure
from ingest.privacy.guest_links import GuestLinks, unlink_entry
from ingest.privacy.link_search import LinkSearch
from ingest.privacy.person import Person, tombstone
from ingest.privacy.refused_rows import rewrite_lines
from ingest.privacy.requests import id_of
from ingest.privacy.stores import ErasureStores, append_all
from models.structures.erasing import without_users
from models.structures.lists import USERS
from schemas.backups import BACKUPS, decode_noted
from schemas.erasures import (
    BUCKETS,
    HINTS,
    MOST_HINTS,
    NO_BUCKET,
    REBUILDS,
    ErasedPlace,
    ErasureHint,
    ErasureHints,
    PlaceState,
    decode_hints,
    decode_times,
    encode_hints,
    encode_times,
)
from schemas.keys import Signal
from schemas.log import topics
from schemas.log.fence import Fence
from schemas.log.records import OffsetToken, Record
from schemas.ports import Change
from schemas.snapshots import delete_snapshots

FOLLOWED_SECONDS: Final = 2.0
"""Within this time the online processes have read a hint, and have handed over the records of their last answers."""
_REBUILT_WITHIN: Final = timedelta(days=2)
"""Longest time until the schedule has rebuilt the signals: it does so once a day, and a rebuild takes its time."""
_REBUILDS_NOTED: Final = timedelta(days=30)
"""Time for which a date that has passed stays noted, for a schedule that did not run."""
_TRAINING: Final = "train"
"""The lease of trainings."""
_ARCHIVING: Final = "archive"
"""The lease of runs that only archive."""

STEPS: Final = tuple(place for place in PLACES if place != "models")
"""The places that are reached with the ids of the person, in their order."""
NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "caches": ("lists",),
    "links": ("signals",),
    "snapshots": ("signals", "attributes", "links"),
    "decision_records": ("signals", "links"),
    "log": ("snapshots",),
    "attributes_log": ("snapshots",),
    "counters": ("log",),
    "archive": ("log", "attributes_log"),
    "dead_letters": ("signals", "attributes"),
    "exports": ("lists",),
    "remnants": tuple(name for name in STEPS if name != "remnants"),
}
"""The places that have to be done before. Without the ``forget`` on the log, an older snapshot would bring the person back."""
AT_ONCE: Final = ("signals", "attributes", "lists", "caches")
"""The places that answers are made from. They come before records are searched for further ids of the person."""


class Places:
    """The steps of one erasure. Each method is named as its place, and returns the place's new state."""

    def __init__(self, stores: ErasureStores, erasure: Erasure, person: Person, search: LinkSearch) -> None:
        self._stores, self._erasure, self._person = stores, erasure, person
        self._links = GuestLinks(stores, erasure, person, search)

    def reach(self, place: str) -> ErasedPlace:
        """Does what is left to do in a place; raises FreshetError, OSError."""
        step: Callable[[], ErasedPlace] = getattr(self, place)
        return step()

    def signals(self) -> ErasedPlace:
        """The users' values: emptied by the fold of each ``forget``."""
        reached = all(
            _reached(self._stores.signals.fence(notice.partition, Signal.USERS), notice.log_id, notice.offset)
            for notice in self._person.notices.values()
        )
        return self._state("signals", done=reached)

    def attributes(self) -> ErasedPlace:
        """The users' attributes: removed by the fold of each ``delete``."""
        log_id = self._stores.reader.log_id(topics.USERS) if self._person.deletes else ""
        reached = all(
            _reached(self._stores.signals.fence(token.partition, Signal.PROFILES), log_id, token.offset)
            for token in self._person.deletes.values()
        )
        return self._state("attributes", done=reached)

    def lists(self) -> ErasedPlace:
        """The rows and the factors of the person in every stored model version, and those that a running training publishes."""
        # Looked at before the versions: a training that ends in between has published by then.
        trained_without = self._is_trained_without()
        for manifest in self._stores.models.versions():
            if manifest.version not in self._erasure.versions:
                self._erase_from(manifest.version, manifest.values)
                self._erasure.versions.append(manifest.version)
        detail = "" if trained_without else "a training that began before is still running"
        return self._state("lists", done=trained_without, detail=detail)

    def _erase_from(self, version: str, values: tuple[str, ...]) -> None:
        removed = self._stores.models.erase(version, USERS, self._person.user_ids)
        is_masked = False
        for name in values:
            if (masked := without_users(self._stores.models.value(version, name), self._person.user_ids)) is not None:
                self._stores.models.replace_value(version, name, masked)
                is_masked = True
        if is_masked:
            self._erasure.masked.append(version)
        if removed or is_masked:
            self._erasure.changed.append(version)

    def _is_trained_without(self) -> bool:
        held = self._stores.lease.held(_TRAINING)
        return held is None or held.since > self._person.last_at.timestamp()

    def caches(self) -> ErasedPlace:
        """What online processes hold in memory: a hint makes them drop it."""
        place = self._erasure.place("caches")
        if place.at is not None:
            return self._state("caches", done=True) if self._now() >= place.at else place
        buckets = {crc32(user_id.encode()) % BUCKETS for user_id in self._person.user_ids}
        self._hint([ErasureHint(0, bucket, tuple(self._erasure.masked)) for bucket in sorted(buckets)])
        return ErasedPlace(place="caches", state="pending", at=self._later(FOLLOWED_SECONDS))

    def links(self) -> ErasedPlace:
        """The links of remaining users to the person's guests."""
        if not self._links.are_folded():
            return self._state("links", done=False, detail="the workers have not applied all events yet")
        if not self._erasure.links_searched:
            found, erasure_id = self._links.found(), self._erasure.receipt.erasure_id
            if found is None:
                return self._state("links", done=False, detail="the values of all users are being read")
            entries = [unlink_entry(f"{erasure_id}:link:{n}", link, self._now()) for n, link in enumerate(found)]
            removed_at = append_all(self._stores.writer, topics.EVENTS, entries) if entries else []
            for link, token in zip(found, removed_at, strict=True):
                self._links.note(link, token)
            self._erasure.links_searched = True
        return self._state("links", done=self._links.are_removed())

    def snapshots(self) -> ErasedPlace:
        """Snapshots of the values, of a time when they held the person. Where none is left, a rebuild reads archive and log."""
        before = self._values_are_clean_since().timestamp()
        partitions = {(topics.EVENTS, notice.partition) for notice in self._person.notices.values()}
        partitions |= {(topics.EVENTS, OffsetToken.parse(token).partition) for token in self._erasure.unlinked.values()}
        partitions |= {(topics.USERS, token.partition) for token in self._person.deletes.values()}
        self._drop_snapshots(partitions, before)
        return self._state("snapshots", done=True)

    def decision_records(self) -> ErasedPlace:
        """The records of answers."""
        if not self._stores.logged:
            return self._expires("decision_records", topics.ANSWERS)
        until = self._values_are_clean_since()
        if self._now() < until + timedelta(seconds=FOLLOWED_SECONDS):
            return self._state("decision_records", done=False)
        self._rewrite_log(topics.ANSWERS, lambda record: self._person.has_decision(record, until))
        return self._state("decision_records", done=True)

    def log(self) -> ErasedPlace:
        """The raw events, and the notices of the ``forget``."""
        if not self._stores.logged:
            return self._expires("log", topics.EVENTS, topics.ERASURES)
        for rewritable in self._stores.logged[:1]:
            rewritable.rewrite(topics.EVENTS, self._person.texts, self._changed_event)
        return self._state("log", done=True)

    def attributes_log(self) -> ErasedPlace:
        """What the site has sent about the user."""
        if not self._stores.logged:
            return self._expires("attributes_log", topics.USERS)
        for rewritable in self._stores.logged[:1]:
            rewritable.rewrite(
                topics.USERS, self._person.texts, _change(lambda _, record: self._person.has_upsert(record))
            )
        return self._state("attributes_log", done=True)

    def counters(self) -> ErasedPlace:
        """Counts over all users. They name nobody; where the log was rewritten, they are folded again without the person."""
        if self._stores.refold is None:
            return self._rebuilt_later()
        partitions = sorted({notice.partition for notice in self._person.notices.values()})
        for partition in partitions:
            self._stores.refold(partition)
        # Some may have been taken since the person's value was emptied, and hold counters with words of the person.
        self._drop_snapshots([(topics.EVENTS, partition) for partition in partitions], self._stores.clock())
        self._hint([ErasureHint(0, NO_BUCKET, refolded=tuple(partitions))])
        return self._state("counters", done=True)

    def _rebuilt_later(self) -> ErasedPlace:
        """A rebuild without the person is possible once the log has removed the records; ``freshet schedule`` runs it."""
        gone = self._erasure.place("log").at
        if gone is None:
            detail = (
                "they name nobody, and count the person until the signals are rebuilt from a log without the person"
            )
            return ErasedPlace(place="counters", state="expires", detail=detail)
        horizon = self._now() - _REBUILDS_NOTED
        times = decode_times(self._stores.documents.read(REBUILDS))
        noted = {time for time in times if time > horizon.timestamp()} | {gone.timestamp()}
        self._stores.documents.write(REBUILDS, encode_times(noted))
        detail = f"they name nobody; freshet schedule rebuilds the signals after {gone:%Y-%m-%d}"
        return ErasedPlace(place="counters", state="expires", at=gone + _REBUILT_WITHIN, detail=detail)

    def archive(self) -> ErasedPlace:
        """The archive's copies of both. What the log still holds may be archived later, so that is waited for."""
        waits = not self._stores.logged and not self._is_archived()
        if waits and self._erasure.place("archive").detail:
            return self._erasure.place("archive")
        for rewritable in self._stores.archived:
            rewritable.rewrite(topics.EVENTS, self._person.texts, self._changed_event)
            rewritable.rewrite(
                topics.USERS, self._person.texts, _change(lambda _, record: self._person.has_upsert(record))
            )
        if self._is_being_archived():
            return self._state("archive", done=False, detail="a run of the archive that began before is still going on")
        detail = "waits for the next run of the archive, and rewrites it again" if waits else ""
        return self._state("archive", done=not waits, detail=detail)

    def _is_being_archived(self) -> bool:
        """True if a running job may still write records that it read from the log before they were erased there."""
        erased_at = self._erasure.place("log").at
        jobs = (self._stores.lease.held(name) for name in (_ARCHIVING, _TRAINING))
        return bool(self._stores.logged) and any(
            job is not None and erased_at is not None and job.since <= erased_at.timestamp() for job in jobs
        )

    def _is_archived(self) -> bool:
        """True if the archive reaches past all that has to be erased, or the log holds it no more, or there is no archive."""
        events = [(notice.partition, notice.offset) for notice in self._person.notices.values()]
        events += [OffsetToken.parse(token) for token in self._erasure.unlinked.values()]
        events += [(partition, end - 1) for partition, end in enumerate(self._erasure.link_ends)]
        of_users = [(token.partition, token.offset) for token in self._person.deletes.values()]
        return self._is_past(topics.EVENTS, events) and self._is_past(topics.USERS, of_users)

    def _is_past(self, topic: str, records: Iterable[tuple[int, int]]) -> bool:
        log_id, ranges = self._stores.reader.log_id(topic), self._stores.archive.ranges(topic)
        ends = {archived.partition: archived.end for archived in ranges if archived.log_id == log_id}
        return not ranges or all(
            max(ends.get(partition, 0), self._stores.reader.bounds(topic, partition)[0]) > offset
            for partition, offset in records
        )

    def dead_letters(self) -> ErasedPlace:
        """Records that could not be applied."""
        if not self._stores.logged:
            return self._expires("dead_letters", topics.DEADLETTERS)
        self._rewrite_log(topics.DEADLETTERS, self._person.has_dead_letter)
        return self._state("dead_letters", done=True)

    def refused_rows(self) -> ErasedPlace:
        """Rows that imports refused, in files beside the data."""
        for path in sorted(self._stores.refused.glob("*.jsonl")):
            rewrite_lines(path, {id_of(subject) for subject in self._person.subjects})
        return self._state("refused_rows", done=True)

    def exports(self) -> ErasedPlace:
        """Copies of model versions in other places: those that held the person are written anew."""
        stored = {manifest.version for manifest in self._stores.models.versions()}
        failures = [
            failure
            for version in self._erasure.changed
            if version in stored
            for failure in self._stores.export(version)
        ]
        if failures:
            return ErasedPlace(place="exports", state="failed", at=None, detail="; ".join(failures)[:500])
        return self._state("exports", done=True)

    def remnants(self) -> ErasedPlace:
        """What removed rows have left in files: free pages, write-ahead logs. The notices go before, the last to name the person."""
        for rewritable in self._stores.logged[:1]:
            rewritable.rewrite(topics.ERASURES, (), _tombstones_at(self._erasure))
        # An id that others use too, as of an item or a visit, stays in their records.
        clean = self._stores.scrub(self._person.texts) or self._stores.scrub(self._own_texts())
        return self._state("remnants", done=clean, detail="" if clean else "a reader keeps older pages; tried again")

    def _own_texts(self) -> list[bytes]:
        """The bytes of those ids that no record of the log names any more."""
        return [
            text
            for text in self._person.texts
            if not any(
                next(records.find(topic, [text]), None) for records in self._stores.logged for topic in topics.ALL
            )
        ]

    def models(self) -> ErasedPlace:
        """What models learned from the person among others: the next training does without. Needs no id."""
        serving = {self._stores.models.active(), self._stores.models.challenger()} - {None}
        manifests = [manifest for manifest in self._stores.models.versions() if manifest.version in serving]
        if all(_is_trained_past(manifest.offsets, self._erasure) for manifest in manifests):
            return self._state("models", done=True)
        due = self._stores.next_training()
        at = None if due is None else datetime.fromtimestamp(due, UTC)
        return ErasedPlace(place="models", state="at_next_training", at=at)

    def backups(self) -> ErasedPlace:
        """Backups that were made while the person was there. Freshet cannot change them: the receipt names them."""
        noted = decode_noted(self._stores.documents.read(BACKUPS))
        kept = [backup for backup in noted if backup.created_at <= self._values_are_clean_since()]
        if not kept:
            return self._state("backups", done=True, detail="no backup of before is known")
        names = ", ".join(f"{backup.place} ({backup.created_at:%Y-%m-%d})" for backup in reversed(kept))
        detail = f"remove them, or erase the person again after a restore: {names}"
        return ErasedPlace(place="backups", state="kept", detail=detail[:2_000])

    def _changed_event(self, log_id: str, record: Record) -> Record:
        return tombstone(record) if self._person.has_event(log_id, record) else self._links.renamed(log_id, record)

    def _values_are_clean_since(self) -> datetime:
        """When no value held the person or a link to a guest any more."""
        times = (self._erasure.place(place).at for place in ("signals", "links"))
        return max([self._person.last_at, *(time for time in times if time is not None)])

    def _hint(self, new: Sequence[ErasureHint]) -> None:
        """Numbers hints and adds them to those that online processes follow."""
        hints = decode_hints(self._stores.documents.read(HINTS))
        numbered = [msgspec.structs.replace(hint, number=hints.upcoming + count) for count, hint in enumerate(new)]
        kept = (*hints.hints, *numbered)[-MOST_HINTS:]
        self._stores.documents.write(HINTS, encode_hints(ErasureHints(hints.upcoming + len(numbered), kept)))

    def _drop_snapshots(self, partitions: Iterable[tuple[str, int]], before: float) -> None:
        """Removes snapshots that were taken before a time, in seconds since 1970."""
        stored = self._stores.snapshots
        for topic, partition in sorted(partitions) if stored else ():
            assert stored is not None
            delete_snapshots(stored, topic, partition, before)
            stored.delete_unpublished(topic, partition, before)

    def _rewrite_log(self, topic: str, is_of_person: Callable[[Record], bool]) -> None:
        for rewritable in self._stores.logged:
            rewritable.rewrite(topic, (), _change(lambda _, record: is_of_person(record)))

    def _expires(self, place: str, *of_topics: str) -> ErasedPlace:
        days = [self._stores.days_kept(topic) for topic in of_topics]
        known = [day for day in days if day is not None]
        if len(known) < len(days):
            detail = (
                "Kafka keeps this topic for ever: set retention.ms on it, as FRESHET_USERS_DAYS does for a new topic"
            )
            return ErasedPlace(place=place, state="expires", at=None, detail=detail)
        return ErasedPlace(place=place, state="expires", at=self._now() + timedelta(days=max(known)))

    def _state(self, place: str, *, done: bool, detail: str = "") -> ErasedPlace:
        state: PlaceState = "done" if done else "pending"
        return ErasedPlace(place=place, state=state, at=self._now() if done else None, detail=detail)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._stores.clock(), UTC)

    def _later(self, seconds: float) -> datetime:
        return self._now() + timedelta(seconds=seconds)


def _is_trained_past(offsets: Mapping[str, int], erasure: Erasure) -> bool:
    """True if a version was trained on logs that reach past each ``forget``."""
    return all(
        offsets.get(f"{log_id}/{topics.EVENTS}/{partition}", 0) > offset
        for log_id, partition, offset in erasure.forgets
    )


def _reached(fence: Fence | None, log_id: str, offset: int) -> bool:
    return fence is not None and (fence.log_id != log_id or fence.offset >= offset)


def _change(is_of_person: Callable[[str, Record], bool]) -> Change:
    return lambda log_id, record: tombstone(record) if is_of_person(log_id, record) else record


def _tombstones_at(erasure: Erasure) -> Change:
    tokens = set(erasure.notices)
    return lambda _, record: tombstone(record) if (record.partition, record.offset) in tokens else record
