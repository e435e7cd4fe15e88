"""The old values of one partition that a rebuild has set aside, until the rebuild is whole."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import structlog

from nearline.processor import SIGNALS
from schemas.errors import StoreUnavailable, ValueCorrupt
from schemas.keys import Signal
from schemas.log.fence import Fence
from schemas.ports import SignalStore

log = structlog.get_logger()


class SetAside:
    """Restores or discards the old values of a partition's signals. For the worker's thread."""

    def __init__(self, topic: str, partition: int, store: SignalStore) -> None:
        self._topic, self._partition, self._store = topic, partition, store
        self.may_exist = False
        """True if old values may be set aside."""

    def restored(
        self, signal: Signal, fence: Fence | None, log_id: str, is_stale: Callable[[Fence], bool]
    ) -> Fence | None:
        """Returns the fence. If values of this log were set aside for another log, which is gone again, restores them first."""
        aside = self._fence(signal)
        self.may_exist |= aside is not None
        if aside is None or is_stale(aside) or fence is None or fence.log_id == log_id:
            return fence
        log.warning("signal_restored", topic=self._topic, partition=self._partition, signal=signal, fence=str(aside))
        self._store.restore(self._partition, signal, fence)
        return aside

    def discard(self) -> None:
        """Remove the old values, because the rebuild is whole."""
        for signal in SIGNALS[self._topic]:
            self._store.discard_aside(self._partition, signal)
        self.may_exist = False

    def make_room(self) -> None:
        """Give up the old values, because the store is full and the rebuild needs their room."""
        log.error(
            "old_values_discarded", topic=self._topic, partition=self._partition, reason="the signal store is full"
        )
        with suppress(StoreUnavailable):
            self.discard()

    def _fence(self, signal: Signal) -> Fence | None:
        try:
            return self._store.aside(self._partition, signal)
        except ValueCorrupt:
            self._store.discard_aside(self._partition, signal)
            return None
