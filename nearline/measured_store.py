"""A signal store that counts and times the commits that go through it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nearline import metrics
from schemas.errors import FenceMoved
from schemas.log.fence import Fence
from schemas.ports import PAGE, Replacement, SignalStore


class MeasuredStore:
    """Wraps a SignalStore and measures its commits."""

    def __init__(self, store: SignalStore) -> None:
        self._store = store

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
        try:
            with metrics.COMMIT_SECONDS.time():
                self._store.commit(partition, signal, expected, fence, values)
        except FenceMoved:
            metrics.FENCE_MOVED.inc()
            raise
        metrics.COMMITS.labels(str(signal)).inc()

    def reset(self, partition: int, signal: str, expected: Fence | None, fence: Fence) -> None:
        """See SignalStore."""
        self._store.reset(partition, signal, expected, fence)

    def aside(self, partition: int, signal: str) -> Fence | None:
        """See SignalStore."""
        return self._store.aside(partition, signal)

    def restore(self, partition: int, signal: str, expected: Fence | None) -> None:
        """See SignalStore."""
        self._store.restore(partition, signal, expected)

    def discard_aside(self, partition: int, signal: str) -> None:
        """See SignalStore."""
        self._store.discard_aside(partition, signal)

    def discard(self, partition: int, signal: str) -> None:
        """See SignalStore."""
        self._store.discard(partition, signal)

    def replace(self, partition: int, replacements: Sequence[Replacement], *, back: bool = False) -> None:
        """See SignalStore."""
        self._store.replace(partition, replacements, back=back)

    def scan(self, partition: int, signal: str, page: int = PAGE) -> Iterator[tuple[str, bytes]]:
        """See SignalStore."""
        return self._store.scan(partition, signal, page)

    def close(self) -> None:
        """See SignalStore."""
        self._store.close()
