"""What stands on the log: entries to write, records as read, and their positions."""

from __future__ import annotations

from typing import NamedTuple, Self

from schemas.errors import InvalidToken


class OffsetToken(NamedTuple):
    """Where one record stands on its topic; on the wire ``"partition:offset"``."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``"17:4211"``; raises InvalidToken on any other form."""
        left, colon, right = text.partition(":")
        if not (colon and left.isascii() and left.isdigit() and right.isascii() and right.isdigit()):
            raise InvalidToken(f"'{text[:40]}' is not an offset token; it looks like 17:4211")
        if len(left) > 6 or len(right) > 18:
            raise InvalidToken(f"'{text[:40]}' is not an offset token: a number in it is too large")
        return cls(int(left), int(right))


class LogEntry(NamedTuple):
    """One record to append. ``key`` decides the partition (see ``topics.partition_of``)."""

    key: bytes
    value: bytes


class Record(NamedTuple):
    """One record as it stands on the log; ``timestamp_ms`` is when the log took it."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes
    value: bytes
