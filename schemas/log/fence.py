"""The fence: a stored position that a commit compares and sets. The nearest common term is *checkpoint*."""

from __future__ import annotations

from typing import NamedTuple


class Fence(NamedTuple):
    """The position up to which a signal has applied one partition: the log's own id and the last applied offset.

    ``offset`` is -1 before the first record is applied.
    """

    log_id: str
    offset: int

    def is_reached_by(self, other: Fence | None) -> bool:
        """True if the other fence is on the same log, at this offset or a later one."""
        return other is not None and other.log_id == self.log_id and other.offset >= self.offset
