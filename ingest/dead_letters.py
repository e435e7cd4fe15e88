"""Dead letters: listed, shown, mended and replayed. For commands, not for requests: everything here blocks."""

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
from schemas.errors import LetterUnknown, LogUnavailable, ReplayRefused
from schemas.log import topics
from schemas.log.dead_letters import DeadLetter, Resolution, decode_dead_letter, decode_resolution, encode_resolution
from schemas.log.records import LogEntry, OffsetToken, Record
from schemas.ports import LogReader, LogWriter

_LOG = structlog.get_logger(__name__)
_READ: Final = 500
_APPEND_SECONDS: Final = 30.0


class Letter(NamedTuple):
    """A dead letter, where it stands on its topic, and how it was resolved, if it was."""

    token: OffsetToken
    letter: DeadLetter
    resolution: Resolution | None


class Replayed(NamedTuple):
    """Where a replayed letter stands now; ``again`` where that had been done before, so that nothing was written."""

    topic: str
    token: OffsetToken
    again: bool


def letters(reader: LogReader, *, resolved: bool = False) -> Iterator[Letter]:
    """Letters still to be dealt with, oldest first in each partition; ``resolved`` gives the others too.

    A record that was refused twice, by a worker that died in between, has two letters: the first stands for both.
    Raises LogUnavailable.
    """
    resolutions = {each.identity: each for record in _records(reader) if (each := _resolution(record.value))}
    met: set[str] = set()
    for record in _records(reader):
        letter = _letter(record)
        if letter is None or letter.identity in met:
            continue
        met.add(letter.identity)
        resolution = resolutions.get(letter.identity)
        if resolved or resolution is None:
            yield Letter(OffsetToken(record.partition, record.offset), letter, resolution)


def find(reader: LogReader, token: OffsetToken) -> Letter:
    """The letter at this place; raises LetterUnknown, LogUnavailable."""
    for each in letters(reader, resolved=True):
        if each.token == token:
            return each
    raise LetterUnknown(f"there is no dead letter at {token}: `freshet deadletters list` shows where they stand")


def replay(found: Letter, writer: LogWriter, now: datetime, allowed: Policy, mended: bytes | None = None) -> Replayed:
    """Put a letter back on its topic, through the collector's validation, and remember that on the letters' topic.

    ``mended`` are bytes to take instead of the original. A letter that was replayed is not replayed again. A crash
    between the two writes replays it twice under one event id, which counts once; upserts are idempotent anyway.
    Raises ReplayRefused where it is still not valid, LogUnavailable.
    """
    if found.resolution is not None:
        return Replayed(found.resolution.topic, OffsetToken.parse(found.resolution.token), again=True)
    letter = found.letter
    taken = _taken(letter, mended if mended is not None else letter.original(), now, allowed)
    token = _append(writer, letter.topic, taken.entry)
    resolution = Resolution(identity=letter.identity, topic=letter.topic, token=str(token), at=now)
    _append(writer, topics.DEADLETTERS, LogEntry(letter.original_key(), encode_resolution(resolution)))
    metrics.REPLAYED.inc()
    return Replayed(letter.topic, token, again=False)


def _records(reader: LogReader) -> Iterator[Record]:
    for partition in range(reader.partitions(topics.DEADLETTERS)):
        offset, end = reader.bounds(topics.DEADLETTERS, partition)
        while offset < end and (records := reader.read(topics.DEADLETTERS, partition, offset, _READ)):
            yield from records
            offset = records[-1].offset + 1


def _letter(record: Record) -> DeadLetter | None:
    if _resolution(record.value) is not None:
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


def _taken(letter: DeadLetter, value: bytes, now: datetime, allowed: Policy) -> Accepted:
    retake = _RETAKE.get(letter.topic)
    if retake is None:
        raise ReplayRefused(f"records of the topic '{letter.topic}' are made anew by their writer, not replayed")
    try:
        raw = parse(value)
        if not isinstance(raw, dict):
            raise ReplayRefused(f"the record must be a JSON object, not {json_kind(raw)}; mend it and replay that")
        return retake(letter, raw, now, allowed)
    except Rejection as error:
        raise ReplayRefused(f"still not valid, {error}; mend it and replay that") from error
    except ValueError as error:
        raise ReplayRefused(f"the record is not JSON ({error}); mend it and replay that") from error


def _retake_event(letter: DeadLetter, raw: dict[str, Any], now: datetime, allowed: Policy) -> Accepted:
    event = {"occurred_at": letter.at, **raw}
    event.pop("received_at", None)
    return validate.validate_event(event, now, lambda: f"letter-{letter.identity}", allowed)


def _retake_item(_: DeadLetter, raw: dict[str, Any], now: datetime, __: Policy) -> Accepted:
    id_, fields = str(raw.get("id", "")), raw.get("fields", {})
    if raw.get("op") == "delete":
        return validate.delete(id_, "id", now)
    take = validate.patch_item if raw.get("op") == "patch" else validate.put_item
    return take(id_, fields, now)


def _retake_user(_: DeadLetter, raw: dict[str, Any], now: datetime, allowed: Policy) -> Accepted:
    id_, fields = str(raw.get("id", "")), raw.get("fields", {})
    if raw.get("op") == "delete":
        return validate.delete(id_, "id", now)
    take = validate.patch_user if raw.get("op") == "patch" else validate.put_user
    return take(id_, fields, now, allowed)


_Retake = Callable[[DeadLetter, dict[str, Any], datetime, Policy], Accepted]
_RETAKE: Final[dict[str, _Retake]] = {
    topics.EVENTS: _retake_event,
    topics.ITEMS: _retake_item,
    topics.USERS: _retake_user,
}
