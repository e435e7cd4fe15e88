"""Finds the record of a past answer on the ``answers`` topic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from schemas.answers import Decision
from schemas.decision_codec import decode_decision
from schemas.errors import AnswerUnknown, Undecodable
from schemas.log import topics
from schemas.log.records import OffsetToken, Record
from schemas.ports import LogReader

_WINDOW: Final = 1_000
_LONGEST_CACHED_MS: Final = 120_000
"""A list is cached for a minute at most; the log's clock may lag behind."""


class DecisionMatch(NamedTuple):
    """A decision record and its offset."""

    token: OffsetToken
    decision: Decision


def find_in(
    readers: Sequence[LogReader], recommendation_id: str, limit: int, report: Callable[[int, int], None]
) -> DecisionMatch:
    """As ``find``, in the first of these places that has the record. Raises the first place's AnswerUnknown."""
    unknown: list[AnswerUnknown] = []
    for reader in readers:
        try:
            return find(reader, recommendation_id, limit, report)
        except AnswerUnknown as error:
            unknown.append(error)
    raise unknown[0]


def find(reader: LogReader, recommendation_id: str, limit: int, report: Callable[[int, int], None]) -> DecisionMatch:
    """The record of this answer among the newest ``limit``; ``report`` gets the numbers of records read and to read.

    Raises AnswerUnknown, LogUnavailable.
    """
    spans = _spans(reader)
    total, read_count = min(limit, sum(end - begin for begin, end in spans.values())), 0
    for records in _windows(reader, spans):
        if match := _match_in(records, recommendation_id):
            return _completed(reader, match, spans[match.token.partition][0])
        read_count += len(records)
        report(min(read_count, total), total)
        if read_count >= limit:
            break
    raise AnswerUnknown(_unknown(recommendation_id, read_count))


def _spans(reader: LogReader) -> dict[int, tuple[int, int]]:
    return {p: reader.bounds(topics.ANSWERS, p) for p in range(reader.partitions(topics.ANSWERS))}


def _windows(reader: LogReader, spans: dict[int, tuple[int, int]]) -> Iterator[list[Record]]:
    """Windows of records from all partitions in turn, each from its end backwards."""
    remaining = {partition: end for partition, (begin, end) in spans.items() if end > begin}
    while remaining:
        for partition, end in list(remaining.items()):
            begin = max(spans[partition][0], end - _WINDOW)
            yield _between(reader, partition, begin, end)
            remaining[partition] = begin
            if begin <= spans[partition][0]:
                del remaining[partition]


def _match_in(records: Sequence[Record], recommendation_id: str) -> DecisionMatch | None:
    encoded_id = recommendation_id.encode()
    for record in reversed(records):
        # Decode only if the bytes contain the id: decoding takes longer than searching.
        if encoded_id in (record.value or b"") and (match := _decision(record, recommendation_id)):
            return match
    return None


def _completed(reader: LogReader, match: DecisionMatch, begin: int) -> DecisionMatch:
    """The record completed from that of the first answer with the same list, written just before it in its partition."""
    first_id, (partition, end) = match.decision.same_as, match.token
    if first_id is None:
        return match
    [repeat] = reader.read(topics.ANSWERS, partition, end, 1)
    for records in _windows(reader, {partition: (begin, end)}):
        if first_match := _match_in(records, first_id):
            return match._replace(decision=match.decision.completed(first_match.decision))
        if records[0].timestamp_ms < repeat.timestamp_ms - _LONGEST_CACHED_MS:
            break
    raise AnswerUnknown(
        f"answer '{match.decision.recommendation_id}' gave the list of answer '{first_id}' again, and the log no longer "
        "holds that one's record: it is older than the log keeps answers"
    )


def _between(reader: LogReader, partition: int, begin: int, end: int) -> list[Record]:
    between: list[Record] = []
    while begin < end and (records := reader.read(topics.ANSWERS, partition, begin, end - begin)):
        between += records
        begin = records[-1].offset + 1
    return between


def _decision(record: Record, recommendation_id: str) -> DecisionMatch | None:
    try:
        decision = decode_decision(record.value or b"")
    except Undecodable:
        # A record of another version; the wanted answer has this version, so it is safe to skip.
        return None
    matches = decision.recommendation_id == recommendation_id
    return DecisionMatch(OffsetToken(record.partition, record.offset), decision) if matches else None


def _unknown(recommendation_id: str, read_count: int) -> str:
    if not read_count:
        return "no answer has been recorded yet: ask for recommendations over HTTP, then explain one of those"
    return (
        f"there is no answer '{recommendation_id}' among the newest {read_count:,}: copy the recommendation_id of an "
        "answer as it is, look further back with --last, or it is older than the log keeps answers"
    )
