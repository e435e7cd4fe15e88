"""The signal store of the partition workers: it measures commits, and notes changed keys while a partition is copied."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from nearline.metrics import measured_commit
from schemas.keys import IN_PARTS
from schemas.log.fence import Fence
from schemas.ports import PAGE, Replacement, SignalStore
from schemas.values.tails import owner

_PartitionSignal = tuple[int, str]


class ChangeRecord:
    """The keys that commits have changed since the record began. ``lock`` keeps further commits out."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.fence: Fence | None = None
        """The fence after the last commit."""
        self.complete = True
        """False if a commit was missed, or values changed in another way."""
        self._keys: dict[str, None] = {}

    def note(self, expected: Fence | None, fence: Fence, keys: Iterable[str]) -> None:
        """Note a commit that was made."""
        self.complete &= expected == self.fence
        self.fence = fence
        self._keys.update(dict.fromkeys(keys))

    @property
    def count(self) -> int:
        """Number of keys that were not yet taken."""
        return len(self._keys)

    def take(self) -> list[str]:
        """Returns the keys changed since the last call."""
        keys, self._keys = self._keys, {}
        return list(keys)


class RecordingStore:
    """Wraps the SignalStore of the partition workers and measures its commits. ``recording`` notes the keys they change."""

    def __init__(self, store: SignalStore) -> None:
        self._store = store
        self._records: dict[_PartitionSignal, ChangeRecord] = {}

    @contextmanager
    def recording(self, partition: int, signal: str, reader: SignalStore) -> Iterator[ChangeRecord]:
        """A record of all commits from now on. ``reader`` reads the fence. Any other thread may call.

        A commit that has begun before is found by the fence: it is not the one that the next commit expects.
        """
        record = ChangeRecord()
        with record.lock:
            self._records[partition, signal] = record
            try:
                record.fence = reader.fence(partition, signal)
            except BaseException:
                del self._records[partition, signal]
                raise
        try:
            yield record
        finally:
            del self._records[partition, signal]

    def fence(self, partition: int, signal: str) -> Fence | None:
        """See SignalStore."""
        return self._store.fence(partition, signal)

    def load(self, partition: int, signal: str, keys: Sequence[str]) -> list[bytes | None]:
        """See SignalStore."""
        return self._store.load(partition, signal, keys)

    def commit(
        self, partition: int, signal: str, expected: Fence | None, fence: Fence, values: Mapping[str, bytes | None]
    ) -> None:
        """See SignalStore."""
        record = self._records.get((partition, signal))
        if record is None:
            with measured_commit(signal):
                self._store.commit(partition, signal, expected, fence, values)
            return
        with record.lock, _broken_by_exceptions(record):
            with measured_commit(signal):
                self._store.commit(partition, signal, expected, fence, values)
            record.note(expected, fence, map(owner, values) if signal in IN_PARTS else values)

    def reset(self, partition: int, signal: str, expected: Fence | None, fence: Fence) -> None:
        """See SignalStore."""
        self._break(partition, signal)
        self._store.reset(partition, signal, expected, fence)

    def aside(self, partition: int, signal: str) -> Fence | None:
        """See SignalStore."""
        return self._store.aside(partition, signal)

    def restore(self, partition: int, signal: str, expected: Fence | None) -> None:
        """See SignalStore."""
        self._break(partition, signal)
        self._store.restore(partition, signal, expected)

    def discard_aside(self, partition: int, signal: str) -> None:
        """See SignalStore."""
        self._store.discard_aside(partition, signal)

    def discard(self, partition: int, signal: str) -> None:
        """See SignalStore."""
        self._break(partition, signal)
        self._store.discard(partition, signal)

    def replace(self, partition: int, replacements: Sequence[Replacement], *, back: bool = False) -> None:
        """See SignalStore."""
        for replacement in replacements:
            self._break(partition, replacement.signal)
        self._store.replace(partition, replacements, back=back)

    def scan(self, partition: int, signal: str, page: int = PAGE) -> Iterator[tuple[str, bytes]]:
        """See SignalStore."""
        return self._store.scan(partition, signal, page)

    def close(self) -> None:
        """See SignalStore."""
        self._store.close()

    def _break(self, partition: int, signal: str) -> None:
        record = self._records.get((partition, signal))
        if record is not None:
            record.complete = False


@contextmanager
def _broken_by_exceptions(record: ChangeRecord) -> Iterator[None]:
    """A commit that raised may have been made all the same."""
    try:
        yield
    except BaseException:
        record.complete = False
        raise
