"""Reads all values of a signal as of one commit, while the partition's worker goes on committing.

The scan runs beside the commits, whose keys are noted and read again in rounds. In the last round the few keys that are
left are read while no commit can be made. The worker waits for that round only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from nearline.snapshots.recording import ChangeRecord, RecordingStore
from schemas.errors import SnapshotAbandoned
from schemas.keys import Signal
from schemas.ports import SignalStore
from signals import user_codec

CHUNK: Final = 1_000
"""Values that are read at once."""
LAST_ROUND: Final = 500
"""Number of changed keys at which the last round begins."""
MOST_IN_LAST_ROUND: Final = 5_000
"""Limit of keys of the last round. With more, the snapshot is abandoned, because the worker would wait too long."""
ROUNDS: Final = 20
"""Limit of rounds before the last one."""
SHARE_OF_TIME: Final = 0.25
"""Share of the time that reading takes. The rest is left to the workers of the process."""

Pause = Callable[[float], None]


class Capture:
    """One signal of one partition. ``store`` is a connection of its own, not that of the worker."""

    def __init__(
        self,
        recording: RecordingStore,
        store: SignalStore,
        partition: int,
        signal: str,
        pause: Pause = time.sleep,
    ) -> None:
        self._recording, self._store, self._pause = recording, store, pause
        self._partition, self._signal = partition, signal
        self._offset: int | None = None

    def offset(self) -> int:
        """Returns the offset of the fence to which the rows belong. To be called after the last row."""
        if self._offset is None:
            raise SnapshotAbandoned(f"'{self._signal}' of partition {self._partition} was not read to its end")
        return self._offset

    def rows(self, log_id: str) -> Iterator[tuple[str, bytes | None]]:
        """Yields keys and values; the last row of a key counts, None removes it.

        Raises SnapshotAbandoned if somebody else commits to the partition, StoreUnavailable.
        """
        with self._recording.recording(self._partition, self._signal, self._store) as record:
            if record.fence is None or record.fence.log_id != log_id:
                raise SnapshotAbandoned(f"'{self._signal}' of partition {self._partition} has no fence of this log")
            yield from self._paced(self._whole(self._store.scan(self._partition, self._signal)))
            for _ in range(ROUNDS):
                if record.count <= LAST_ROUND:
                    break
                yield from self._paced(self._values(record.take()))
            yield from self._last_round(record)

    def _last_round(self, record: ChangeRecord) -> list[tuple[str, bytes | None]]:
        with record.lock:
            if record.count > MOST_IN_LAST_ROUND:
                raise SnapshotAbandoned(f"{record.count} values changed since the last round, too many to wait for")
            rows = list(self._values(record.take()))
            fence = self._store.fence(self._partition, self._signal)
            if not record.complete or fence is None or fence != record.fence:
                raise SnapshotAbandoned(
                    f"another process commits to '{self._signal}' of partition {self._partition}, or it was reset"
                )
        self._offset = fence.offset
        return rows

    def _values(self, keys: list[str]) -> Iterator[tuple[str, bytes | None]]:
        for start in range(0, len(keys), CHUNK):
            chunk = keys[start : start + CHUNK]
            yield from self._whole(zip(chunk, self._store.load(self._partition, self._signal, chunk), strict=True))

    def _whole(self, rows: Iterable[tuple[str, bytes | None]]) -> Iterator[tuple[str, bytes | None]]:
        """Yields the rows, without values in parts: equal histories have equal rows, which the release before can load."""
        for key, data in rows:
            yield key, data if data is None or self._signal != Signal.USERS else user_codec.whole(data)

    def _paced(self, rows: Iterator[tuple[str, bytes | None]]) -> Iterator[tuple[str, bytes | None]]:
        """Yields the rows, with a pause after each CHUNK that keeps reading at SHARE_OF_TIME."""
        began = time.perf_counter()
        while chunk := list(islice(rows, CHUNK)):
            yield from chunk
            self._pause((time.perf_counter() - began) * (1 / SHARE_OF_TIME - 1))
            began = time.perf_counter()
