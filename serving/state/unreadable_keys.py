"""The keys of a followed signal whose stored values cannot be read now. The worker heals them; they are read again until then."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog

from schemas.errors import UNREADABLE
from schemas.keys import Signal
from serving import metrics

T = TypeVar("T")
_log = structlog.get_logger(__name__)


class UnreadableKeys:
    """Keys by partition. What an online process has read of them before stays in use."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self._keys: dict[int, set[str]] = {}

    def __bool__(self) -> bool:
        return bool(self._keys)

    def read(self, partition: int, key: str, read: Callable[[], T]) -> T | None:
        """Returns what ``read`` returns; None, and notes the key, if it raises because the value cannot be read."""
        try:
            value = read()
        except (*UNREADABLE, ArithmeticError) as error:
            self.add(partition, key, error)
            return None
        if self._keys:
            self.remove(partition, key)
        return value

    def of(self, partition: int) -> list[str]:
        """Returns the keys of a partition."""
        return sorted(self._keys.get(partition, ()))

    def add(self, partition: int, key: str, error: Exception) -> None:
        """Note a key whose value cannot be read; logged once."""
        keys = self._keys.setdefault(partition, set())
        if key not in keys:
            keys.add(key)
            metrics.UNREADABLE.labels(self._signal).inc()
            _log.error("value_unreadable", signal=self._signal, partition=partition, key=key, error=str(error)[:200])

    def remove(self, partition: int, key: str) -> None:
        """Forget a key: its value has been read, or is gone."""
        keys = self._keys.get(partition)
        if keys is not None:
            keys.discard(key)
            if not keys:
                del self._keys[partition]

    def clear(self, partition: int) -> None:
        """Forget the keys of a partition that is read anew."""
        self._keys.pop(partition, None)
