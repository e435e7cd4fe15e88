"""Finding the record of a past answer on the ``answers`` topic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from schemas.answers import Decision, decode_decision
from schemas.errors import AnswerUnknown, Undecodable
from schemas.log import topics
from schemas.log.records import OffsetToken, Record
from schemas.ports import LogReader

_WINDOW: Final = 1_000
_LONGEST_KEPT_MS: Final = 120_000
"""A list is given again for a minute at most; the log's clock may lag behind."""


class Found(NamedTuple):
    """A decision record and where it stands."""

    token: OffsetToken
    decision: Decision


def find(reader: LogReader, recommendation_id: str, limit: int, report: Callable[[int, int], None]) -> Found:
    """The record of this answer, looked for among the newest ``limit``; ``report`` is told how many were looked at.

    Raises AnswerUnknown, LogUnavailable.
    """
    spans = _spans(reader)
    total, looked = min(limit, sum(end - begin for begin, end in spans.values())), 0
    for records in _windows(reader, spans):
        if found := _among(records, recommendation_id):
            return _completed(reader, found, spans[found.token.partition][0])
        looked += len(records)
        report(min(looked, total), total)
        if looked >= limit:
            break
    raise AnswerUnknown(_unknown(recommendation_id, looked))


def _spans(reader: LogReader) -> dict[int, tuple[int, int]]:
    return {p: reader.bounds(topics.ANSWERS, p) for p in range(reader.partitions(topics.ANSWERS))}


def _windows(reader: LogReader, spans: dict[int, tuple[int, int]]) -> Iterator[list[Record]]:
    """Stretches of records, the partitions in turn, each from its end backwards."""
    left = {partition: end for partition, (begin, end) in spans.items() if end > begin}
    while left:
        for partition, end in list(left.items()):
            begin = max(spans[partition][0], end - _WINDOW)
            yield _between(reader, partition, begin, end)
            left[partition] = begin
            if begin <= spans[partition][0]:
                del left[partition]


def _among(records: Sequence[Record], recommendation_id: str) -> Found | None:
    wanted = recommendation_id.encode()
    for record in reversed(records):
        # Decoded only where the bytes hold the id: an answer takes longer to decode than to look through.
        if wanted in record.value and (found := _decision(record, recommendation_id)):
            return found
    return None


def _completed(reader: LogReader, found: Found, begin: int) -> Found:
    """The record with what stands in that of the first answer with its list, seconds before it in its partition."""
    first, (partition, end) = found.decision.same_as, found.token
    if first is None:
        return found
    [repeat] = reader.read(topics.ANSWERS, partition, end, 1)
    for records in _windows(reader, {partition: (begin, end)}):
        if whole := _among(records, first):
            return found._replace(decision=found.decision.completed(whole.decision))
        if records[0].timestamp_ms < repeat.timestamp_ms - _LONGEST_KEPT_MS:
            break
    raise AnswerUnknown(
        f"answer '{found.decision.recommendation_id}' gave the list of answer '{first}' again, and the log no longer "
        "holds that one's record: it is older than the log keeps answers"
    )


def _between(reader: LogReader, partition: int, begin: int, end: int) -> list[Record]:
    found: list[Record] = []
    while begin < end and (records := reader.read(topics.ANSWERS, partition, begin, end - begin)):
        found += records
        begin = records[-1].offset + 1
    return found


def _decision(record: Record, recommendation_id: str) -> Found | None:
    try:
        decision = decode_decision(record.value)
    except Undecodable:
        # Another version's record; what is wanted is named, so passing over this one hides nothing.
        return None
    matches = decision.recommendation_id == recommendation_id
    return Found(OffsetToken(record.partition, record.offset), decision) if matches else None


def _unknown(recommendation_id: str, looked: int) -> str:
    if not looked:
        return "no answer has been recorded yet: ask for recommendations over HTTP, then explain one of those"
    return (
        f"there is no answer '{recommendation_id}' among the newest {looked:,}: copy the recommendation_id of an "
        "answer as it is, look further back with --last, or it is older than the log keeps answers"
    )
