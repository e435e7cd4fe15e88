"""The fence: a stored position that a commit compares and sets. The nearest common term is *checkpoint*."""

from __future__ import annotations

from typing import NamedTuple


class Fence(NamedTuple):
    """How far a signal's values follow one partition: the log's own id and the last offset applied.

    ``offset`` is -1 where nothing has been applied yet.
    """

    log_id: str
    offset: int
