"""The manifest of a snapshot: a copy of the values of one partition, of each signal as of its fence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from schemas.keys import VALUE_FORMAT
from schemas.log.fence import Fence

if TYPE_CHECKING:
    from schemas.ports import SnapshotStore

SNAPSHOT_FORMAT: Final = 1
"""Version of a snapshot's files. A reader refuses a snapshot of a larger version."""


class SnapshotFile(msgspec.Struct, frozen=True, kw_only=True):
    """The values of one signal: rows of key and value. The last row of a key counts; a row without a value removes the key."""

    offset: int
    """The last offset that the values contain."""
    name: str
    rows: int
    bytes: int
    digest: str
    """BLAKE2b of the file, 32 hexadecimal digits."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot of all signals that are folded from one partition of one topic."""

    snapshot_id: str
    """Names the folder of the snapshot. It begins with the time at which the snapshot began, so ids sort by age."""
    topic: str
    partition: int
    log_id: str
    created_at: float
    """Seconds since 1970. All values were read at or after this time."""
    code_version: str
    format: int = SNAPSHOT_FORMAT
    value_format: int = VALUE_FORMAT
    """Version of the values' encoding, see ``schemas.keys``."""
    files: dict[str, SnapshotFile]
    """The file of each signal."""

    def fence(self, signal: str) -> Fence:
        """The fence of a signal's values."""
        return Fence(self.log_id, self.files[signal].offset)

    @property
    def next_offset(self) -> int:
        """The first offset that some signal does not contain."""
        return min(file.offset for file in self.files.values()) + 1

    @property
    def rows(self) -> int:
        """Number of rows of all files."""
        return sum(file.rows for file in self.files.values())


def delete_snapshots(store: SnapshotStore, topic: str, partition: int, until: float = math.inf) -> None:
    """Deletes the snapshots of a partition that began up to a time (seconds since 1970). Raises SnapshotsUnavailable."""
    for snapshot in store.snapshots(topic, partition):
        if snapshot.created_at <= until:
            store.delete(topic, partition, snapshot.snapshot_id)
