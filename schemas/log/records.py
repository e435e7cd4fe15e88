"""Entries to append to the log, records read from it, and their positions."""

from __future__ import annotations

from typing import Final, NamedTuple, Self

from schemas.errors import InvalidToken

TOKEN_PATTERN: Final = "^[0-9]{1,6}:[0-9]{1,18}$"  # noqa: S105 - the form of a position, no secret
"""Matches the text of an offset token."""


class OffsetToken(NamedTuple):
    """The position of one record on its topic; in text ``"partition:offset"``."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads ``"17:4211"``; raises InvalidToken for any other form."""
        partition, colon, offset = text.partition(":")
        digits = all(number.isascii() and number.isdigit() for number in (partition, offset))
        if not (colon and digits):
            raise InvalidToken(f"'{text[:40]}' is not an offset token; it looks like 17:4211")
        if len(partition) > 6 or len(offset) > 18:
            raise InvalidToken(f"'{text[:40]}' is not an offset token: a number in it is too large")
        return cls(int(partition), int(offset))


class LogEntry(NamedTuple):
    """One record to append. ``key`` decides the partition (see ``topics.partition_of``)."""

    key: bytes
    value: bytes


class Record(NamedTuple):
    """One record of the log; ``timestamp_ms`` is the time at which the log received it. A value of None is a tombstone."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes
    value: bytes | None
