"""A signal store in memory. ``nearline.recovery.verify`` folds into it, and compares the result with the stored signals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from schemas.errors import FenceMoved
from schemas.keys import IN_PARTS
from schemas.log.fence import Fence
from schemas.ports import PAGE, Replacement
from schemas.values import tails

PartitionSignal = tuple[int, str]
"""A partition and the name of a signal."""


class InMemorySignalStore:
    """A SignalStore for one thread. Its values end with the process."""

    def __init__(self) -> None:
        self._values: dict[PartitionSignal, dict[str, bytes]] = {}
        self._fences: dict[PartitionSignal, Fence] = {}
        self._aside: dict[PartitionSignal, tuple[Fence, dict[str, bytes]]] = {}

    def fence(self, partition: int, signal: str) -> Fence | None:
        """Returns the fence, or None."""
        return self._fences.get((partition, signal))

    def load(self, partition: int, signal: str, keys: Sequence[str]) -> list[bytes | None]:
        """Returns the values of these keys, in their order."""
        stored = self._values.get((partition, signal), {})
        if signal not in IN_PARTS:
            return [stored.get(key) for key in keys]
        joined = tails.join_all({key: stored[key] for key in tails.with_tails(keys) if key in stored})
        return [joined.get(key) for key in keys]

    def commit(
        self, partition: int, signal: str, expected: Fence | None, fence: Fence, values: Mapping[str, bytes | None]
    ) -> None:
        """Write values and fence. Raises FenceMoved."""
        self._swap(partition, signal, expected, fence)
        stored = self._values.setdefault((partition, signal), {})
        _write(stored, values)
        if signal in IN_PARTS:
            for key in tails.removed(values):
                stored.pop(key, None)

    def reset(self, partition: int, signal: str, expected: Fence | None, fence: Fence) -> None:
        """Set every value aside and set the fence. Raises FenceMoved."""
        self._swap(partition, signal, expected, fence)
        values = self._values.pop((partition, signal), {})
        if expected is not None and expected.offset >= 0:
            self._aside.setdefault((partition, signal), (expected, values))

    def aside(self, partition: int, signal: str) -> Fence | None:
        """Returns the fence of the values that are set aside, or None."""
        aside = self._aside.get((partition, signal))
        return None if aside is None else aside[0]

    def restore(self, partition: int, signal: str, expected: Fence | None) -> None:
        """Put the values that are set aside in place of the present ones. Raises FenceMoved."""
        if (partition, signal) in self._aside:
            fence, values = self._aside[partition, signal]
            self._swap(partition, signal, expected, fence)
            self._values[partition, signal] = values
            del self._aside[partition, signal]

    def discard_aside(self, partition: int, signal: str) -> None:
        """Remove the values that are set aside."""
        self._aside.pop((partition, signal), None)

    def discard(self, partition: int, signal: str) -> None:
        """Remove the fence and all values."""
        self._fences.pop((partition, signal), None)
        self._values.pop((partition, signal), None)

    def replace(self, partition: int, replacements: Sequence[Replacement], *, back: bool = False) -> None:
        """Put other values and fences in place of all values of these signals. Raises FenceMoved."""
        replaced = [(replacement, _joined(replacement.batches)) for replacement in replacements]
        for replacement, _ in replaced:
            actual = self._fences.get((partition, replacement.signal))
            if actual != replacement.expected and not (back and replacement.fence.is_reached_by(actual)):
                raise FenceMoved(partition, replacement.signal, actual)
        for replacement, values in replaced:
            self._fences[partition, replacement.signal] = replacement.fence
            self._values[partition, replacement.signal] = values

    def scan(self, partition: int, signal: str, page: int = PAGE) -> Iterator[tuple[str, bytes]]:  # noqa: ARG002 - the port's signature
        """Yields every key and value of the partition."""
        stored = self._values.get((partition, signal), {})
        yield from (tails.join_all(stored) if signal in IN_PARTS else stored).items()

    def close(self) -> None:
        """Does nothing."""

    def _swap(self, partition: int, signal: str, expected: Fence | None, fence: Fence) -> None:
        actual = self._fences.get((partition, signal))
        if actual != expected:
            raise FenceMoved(partition, signal, actual)
        self._fences[partition, signal] = fence


def _joined(batches: Iterable[Mapping[str, bytes | None]]) -> dict[str, bytes]:
    values: dict[str, bytes] = {}
    for batch in batches:
        _write(values, batch)
    return values


def _write(stored: dict[str, bytes], values: Mapping[str, bytes | None]) -> None:
    for key, value in values.items():
        if value is None:
            stored.pop(key, None)
        else:
            stored[key] = value
