"""A signal store in memory: what a single-threaded fold of the log is compared with the real one through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from schemas.errors import FenceMoved
from schemas.log.fence import Fence

Place = tuple[int, str]


class InMemorySignalStore:
    """A SignalStore for one thread, gone with the process."""

    def __init__(self) -> None:
        self._values: dict[Place, dict[str, bytes]] = {}
        self._fences: dict[Place, Fence] = {}

    def fence(self, partition: int, signal: str) -> Fence | None:
        """The fence as it stands."""
        return self._fences.get((partition, signal))

    def load(self, partition: int, signal: str, keys: Sequence[str]) -> list[bytes | None]:
        """The values of these keys, in their order."""
        held = self._values.get((partition, signal), {})
        return [held.get(key) for key in keys]

    def commit(
        self, partition: int, signal: str, expected: Fence | None, fence: Fence, values: Mapping[str, bytes | None]
    ) -> None:
        """Write values and fence; raises FenceMoved."""
        self._swap(partition, signal, expected, fence)
        held = self._values.setdefault((partition, signal), {})
        for key, value in values.items():
            if value is None:
                held.pop(key, None)
            else:
                held[key] = value

    def reset(self, partition: int, signal: str, expected: Fence | None, fence: Fence) -> None:
        """Remove every value and set the fence; raises FenceMoved."""
        self._swap(partition, signal, expected, fence)
        self._values.pop((partition, signal), None)

    def scan(self, partition: int, signal: str) -> Iterator[tuple[str, bytes]]:
        """Every value of the partition."""
        yield from self._values.get((partition, signal), {}).items()

    def close(self) -> None:
        """Nothing to let go of."""

    def _swap(self, partition: int, signal: str, expected: Fence | None, fence: Fence) -> None:
        actual = self._fences.get((partition, signal))
        if actual != expected:
            raise FenceMoved(partition, signal, actual)
        self._fences[partition, signal] = fence
