"""Keeps a signal up to date in the background: its changes are read regularly and applied between requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from time import perf_counter
from typing import Final

import structlog

from schemas.background import BackgroundTask
from schemas.errors import FreshetError
from schemas.keys import Signal
from schemas.log.fence import Fence
from schemas.ports import Clock, SignalChanges, SignalReader
from serving import metrics
from serving.state.online_state import Apply
from serving.state.unreadable_keys import UnreadableKeys

_log = structlog.get_logger(__name__)
_APPLY_SECONDS: Final = (0.0005, 0.002)
"""Shortest and longest time for which changes are applied before requests get their turn."""
_PAUSE_SECONDS: Final = 0.001
"""Shortest pause for requests; a request that waits for Redis needs several turns of the loop."""
_READ_SECONDS: Final = 30.0
"""Deadline of one read; the first one reads everything."""


class SignalSync:
    """Keeps one followed signal up to date. ``clock`` gives seconds since 1970.

    ``lag_reason`` returns the reason why the signals are still behind; None once they have caught up.
    """

    def __init__(
        self,
        signal: Signal,
        reader: SignalReader,
        partitions: int,
        apply: Apply,
        clock: Clock,
        lag_reason: Callable[[], str | None] = lambda: None,
        unreadable: UnreadableKeys | None = None,
    ) -> None:
        self._unreadable = UnreadableKeys(signal) if unreadable is None else unreadable
        self._signal, self._reader, self._apply, self._clock = signal, reader, apply, clock
        self._lag_reason = lag_reason
        self._fences: list[Fence | None] = [None] * partitions
        self._furthest: list[Fence | None] = [None] * partitions
        self._anew: set[int] = set()
        """Partitions of which all values are to be read."""
        self._unread: dict[int, BaseException] = {}
        """Why a partition could not be read at the last refresh."""
        self._failing = self._rebuilding = False
        self._task = BackgroundTask(f"following {signal}")
        self.version = "-"
        """The fences' offsets joined by dots; ``-`` before the first read."""
        self.read_at: float | None = None
        """The time of the last read of all partitions (seconds)."""
        self.complete = False
        """True after the first applied read that began when the signals were not behind the log."""

    @property
    def incomplete(self) -> bool:
        """True while stored values cannot be read, or are being rebuilt."""
        return bool(self._unread or self._unreadable) or self._rebuilding

    async def run(self, pause: float) -> None:
        """Refresh until cancelled, with this pause (seconds)."""
        while True:
            await self.refresh()
            await asyncio.sleep(self._task.pause(pause))

    def read_anew(self, partition: int) -> None:
        """Read all values of a partition at the next refresh, because they have changed at the fence where they were."""
        self._anew.add(partition)

    async def refresh(self) -> None:
        """Read the changes and apply them; a failure is counted and leaves the earlier state."""
        with self._task.step():
            await self._refresh()

    async def _refresh(self) -> None:
        signals_are_current = self._lag_reason() is None
        anew, self._anew = self._anew, set()
        try:
            async with asyncio.timeout(_READ_SECONDS):
                changed = await self._changed(anew)
            await self._apply_changes(changed)
        except (TimeoutError, FreshetError, OSError) as error:
            self._anew |= anew
            self._failed(error)
        else:
            self._anew |= anew & self._unread.keys()
            self.complete |= signals_are_current and not self._unread
            self._succeeded()

    async def _changed(self, anew: Collection[int]) -> list[tuple[int, SignalChanges]]:
        """The changes of all partitions that can be read, and all values of those in ``anew``.

        Raises the error of the first partition if none can be read.
        """
        reads = (self._changes_of(p, None if p in anew else fence) for p, fence in enumerate(self._fences))
        results = list(enumerate(await asyncio.gather(*reads, return_exceptions=True)))
        unread = {p: error for p, error in results if isinstance(error, BaseException)}
        foreseen = [error for error in unread.values() if isinstance(error, FreshetError | OSError)]
        if len(unread) == len(results) or len(foreseen) < len(unread):
            raise next((error for error in unread.values() if error not in foreseen), unread[min(unread)])
        for p in unread.keys() - self._unread.keys():
            metrics.FOLLOW_FAILURES.labels(self._signal).inc()
            _log.warning("partition_not_read", signal=self._signal, partition=p, error=str(unread[p]))
        self._unread = unread
        return [(p, changes) for p, changes in results if not isinstance(changes, BaseException)]

    async def _changes_of(self, partition: int, since: Fence | None) -> SignalChanges:
        """The changes of a partition, with the values that could not be read at the last refresh."""
        changes = await self._reader.changes(partition, self._signal, since)
        keys = [] if changes.whole else self._unreadable.of(partition)
        if not keys:
            return changes
        values = (await self._reader.read(partition, self._signal, keys)).values
        for key in (key for key, data in zip(keys, values, strict=True) if data is None):
            self._unreadable.remove(partition, key)
        healed = {key: data for key, data in zip(keys, values, strict=True) if data is not None}
        return changes._replace(values={**healed, **changes.values})

    async def _apply_changes(self, changed: list[tuple[int, SignalChanges]]) -> None:
        steps = self._apply([(p, changes) for p, changes in changed if changes.values or changes.whole])
        shortest, longest = _APPLY_SECONDS
        stretch = shortest
        while not _run_steps(steps, stretch):
            paused_at = perf_counter()
            # No request is served before the first read is complete.
            await asyncio.sleep(_PAUSE_SECONDS if self.read_at is not None else 0.0)
            # As long as the requests took, so that syncing takes at most half of the time.
            stretch = min(max(perf_counter() - paused_at, shortest), longest)
        for partition, changes in changed:
            self._fences[partition] = changes.fence
            self._furthest[partition] = _further(self._furthest[partition], changes.fence)
        self._rebuilding = any(
            before is not None and (now is None or now.offset < before.offset)
            for before, now in zip(self._furthest, self._fences, strict=True)
        )

    def _succeeded(self) -> None:
        self.version = ".".join(str(fence.offset if fence else -1) for fence in self._fences)
        self.read_at = self._clock()
        metrics.FOLLOW_AGE_SECONDS.labels(self._signal).set(0)
        if self._failing:
            self._failing = False
            _log.info("follow_recovered", signal=self._signal)

    def _failed(self, error: Exception) -> None:
        metrics.FOLLOW_FAILURES.labels(self._signal).inc()
        if self.read_at is not None:
            metrics.FOLLOW_AGE_SECONDS.labels(self._signal).set(self._clock() - self.read_at)
        if not self._failing:
            self._failing = True
            _log.warning("follow_failed", signal=self._signal, error=str(error) or type(error).__name__)


def _further(before: Fence | None, now: Fence | None) -> Fence | None:
    """The further one of two fences of a partition; the later one if its log is another."""
    if before is None or now is None:
        return before or now
    return before if now.log_id == before.log_id and now.offset < before.offset else now


def _run_steps(steps: Iterator[None], seconds: float) -> bool:
    """Run steps for this time; returns whether all are done."""
    until = perf_counter() + seconds
    return all(perf_counter() <= until for _ in steps)
