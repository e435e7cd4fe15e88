"""A cache that is bounded in bytes, so that no flood of requests can fill the memory with it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MIB: Final = 2**20


class _Sized(NamedTuple, Generic[V]):
    value: V
    size: int


class SizedCache(Generic[K, V]):
    """Values of up to ``limit`` bytes together; those that were used least recently go first."""

    def __init__(self, limit: int, entries: int | None = None) -> None:
        """``entries`` is the largest number of values; None for any."""
        self._limit, self._most = limit, entries
        self._entries: OrderedDict[K, _Sized[V]] = OrderedDict()
        self.size = 0
        """Bytes of all values, by the sizes given to ``put``."""

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def get(self, key: K) -> V | None:
        """The value of this key, which was used now; None if there is none."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry.value

    def put(self, key: K, value: V, size: int) -> None:
        """Keep a value of ``size`` bytes; one that is larger than the whole cache is not kept."""
        self.remove(key)
        if size > self._limit or self._most == 0:
            return
        self._entries[key] = _Sized(value, size)
        self.size += size
        while self.size > self._limit or (self._most is not None and len(self._entries) > self._most):
            self.size -= self._entries.popitem(last=False)[1].size

    def remove(self, key: K) -> None:
        """Let go of the value of this key, if there is one."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size -= entry.size

    def remove_where(self, ended: Callable[[K, V], bool]) -> None:
        """Let go of all values that have ended."""
        for key in [key for key, entry in self._entries.items() if ended(key, entry.value)]:
            self.remove(key)

    def clear(self) -> None:
        """Let go of all values."""
        self._entries.clear()
        self.size = 0
