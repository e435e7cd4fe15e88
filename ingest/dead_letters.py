"""Lists, shows, mends and replays dead letters. Only commands use it, because all calls block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
import structlog

from ingest import metrics
from ingest.validation import validate
from ingest.validation.jsontext import json_kind, parse
from ingest.validation.validate import Accepted, Policy, Rejection
from schemas.errors import DeadLetterRefused, LetterUnknown, LogUnavailable
from schemas.log import topics
from schemas.log.dead_letters import DeadLetter, Resolution, decode_dead_letter, decode_resolution, encode_resolution
from schemas.log.reading import records_of
from schemas.log.records import LogEntry, OffsetToken, Record
from schemas.ports import LogReader, LogWriter

_LOG = structlog.get_logger(__name__)
_APPEND_SECONDS: Final = 30.0


class Letter(NamedTuple):
    """A dead letter, its position on its topic, and its resolution; None while it is open."""

    token: OffsetToken
    letter: DeadLetter
    resolution: Resolution | None


class Replayed(NamedTuple):
    """The position of a replayed letter on its topic. If ``again``, an earlier replay wrote it, and nothing was written now."""

    topic: str
    token: OffsetToken
    again: bool


def letters(reader: LogReader, *, resolved: bool = False) -> Iterator[Letter]:
    """Open letters, oldest first in each partition; with ``resolved`` also the resolved ones.

    A record has two letters if a worker died after it wrote the first. Only the first is returned.
    Raises LogUnavailable.
    """
    resolutions = {
        resolution.identity: resolution
        for record in records_of(reader, topics.DEADLETTERS)
        if (resolution := _resolution(record.value or b""))
    }
    seen_identities: set[str] = set()
    for record in records_of(reader, topics.DEADLETTERS):
        letter = _letter(record)
        if letter is None or letter.identity in seen_identities:
            continue
        seen_identities.add(letter.identity)
        resolution = resolutions.get(letter.identity)
        if resolved or resolution is None:
            yield Letter(OffsetToken(record.partition, record.offset), letter, resolution)


def find(reader: LogReader, token: OffsetToken) -> Letter:
    """The letter at this position; raises LetterUnknown, LogUnavailable."""
    for letter in letters(reader, resolved=True):
        if letter.token == token:
            return letter
    raise LetterUnknown(f"there is no dead letter at {token}: `freshet deadletters list` shows where they stand")


def replay(
    open_letter: Letter, writer: LogWriter, now: datetime, allowed: Policy, mended: bytes | None = None
) -> Replayed:
    """Validates a letter as the collector does, appends it to its topic, then appends a resolution to the letters' topic.

    ``mended`` replaces the original bytes. A letter is replayed once. After a crash between the two writes it is
    replayed twice: an event then has one id and counts once, and upserts are idempotent.
    Raises DeadLetterRefused if the record is still not valid, LogUnavailable.
    """
    if open_letter.resolution is not None:
        return Replayed(open_letter.resolution.topic, OffsetToken.parse(open_letter.resolution.token), again=True)
    letter = open_letter.letter
    if letter.cut_from is not None and mended is None:
        raise DeadLetterRefused(
            f"the letter holds only a part of its {letter.cut_from:,} bytes: give the whole with --mended"
        )
    accepted = _revalidated(letter, mended if mended is not None else letter.original(), now, allowed)
    token = _append(writer, letter.topic, accepted.entry)
    resolution = Resolution(identity=letter.identity, topic=letter.topic, token=str(token), at=now)
    _append(writer, topics.DEADLETTERS, LogEntry(letter.original_key(), encode_resolution(resolution)))
    metrics.REPLAYED.inc()
    return Replayed(letter.topic, token, again=False)


def _letter(record: Record) -> DeadLetter | None:
    if record.value is None or _resolution(record.value) is not None:
        return None
    try:
        return decode_dead_letter(record.value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        _LOG.warning("not_a_dead_letter", partition=record.partition, offset=record.offset, reason=str(error))
        return None


def _resolution(value: bytes) -> Resolution | None:
    try:
        return decode_resolution(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _append(writer: LogWriter, topic: str, entry: LogEntry) -> OffsetToken:
    try:
        (appended,) = writer.append(topic, [entry]).result(_APPEND_SECONDS)
    except TimeoutError as error:
        raise LogUnavailable(f"the log did not confirm within {_APPEND_SECONDS:g} s; try again") from error
    if isinstance(appended, Exception):
        raise appended
    return appended


def _revalidated(letter: DeadLetter, value: bytes, now: datetime, allowed: Policy) -> Accepted:
    revalidate = _REVALIDATE.get(letter.topic)
    if revalidate is None:
        raise DeadLetterRefused(f"records of the topic '{letter.topic}' are made anew by their writer, not replayed")
    try:
        raw = parse(value)
        if not isinstance(raw, dict):
            raise DeadLetterRefused(f"the record must be a JSON object, not {json_kind(raw)}; mend it and replay that")
        return revalidate(letter, raw, now, allowed)
    except Rejection as error:
        raise DeadLetterRefused(f"still not valid, {error}; mend it and replay that") from error
    except ValueError as error:
        raise DeadLetterRefused(f"the record is not JSON ({error}); mend it and replay that") from error


def _revalidate_event(letter: DeadLetter, raw: dict[str, Any], now: datetime, allowed: Policy) -> Accepted:
    event = {"occurred_at": letter.at, **raw}
    event.pop("received_at", None)
    return validate.validate_event(event, now, lambda: f"letter-{letter.identity}", allowed)


def _revalidate_item(_: DeadLetter, raw: dict[str, Any], now: datetime, __: Policy) -> Accepted:
    id_, fields = str(raw.get("id", "")), raw.get("fields", {})
    if raw.get("op") == "delete":
        return validate.delete(id_, "id", now)
    validator = validate.patch_item if raw.get("op") == "patch" else validate.put_item
    return validator(id_, fields, now)


def _revalidate_user(_: DeadLetter, raw: dict[str, Any], now: datetime, allowed: Policy) -> Accepted:
    id_, fields = str(raw.get("id", "")), raw.get("fields", {})
    if raw.get("op") == "delete":
        return validate.delete(id_, "id", now)
    validator = validate.patch_user if raw.get("op") == "patch" else validate.put_user
    return validator(id_, fields, now, allowed)


_Revalidate = Callable[[DeadLetter, dict[str, Any], datetime, Policy], Accepted]
_REVALIDATE: Final[dict[str, _Revalidate]] = {
    topics.EVENTS: _revalidate_event,
    topics.ITEMS: _revalidate_item,
    topics.USERS: _revalidate_user,
}
