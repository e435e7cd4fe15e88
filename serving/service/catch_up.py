"""Whether the signals hold all that was on the log when this process began, for readiness of a cluster's online process.

Afterwards, lag is a matter for metrics and alerts: a process that answers a little late must not be taken out of service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple

import structlog

from schemas.background import BackgroundTask
from schemas.errors import LogUnavailable, StoreUnavailable
from schemas.keys import Signal
from schemas.log import topics
from schemas.ports import LogReader, SignalReader

_LOOK_SECONDS: Final = 1.0
_PATIENCE: Final = 60
"""Looks in a row that find no progress, after which the process waits no longer. Reads go on without a log or workers."""
_TOPICS: Final[Mapping[Signal, str]] = {
    Signal.USERS: topics.EVENTS,
    Signal.AGGREGATES: topics.EVENTS,
    Signal.ITEMS: topics.ITEMS,
    Signal.PROFILES: topics.USERS,
}
_log = structlog.get_logger(__name__)


class _LogEnds(NamedTuple):
    """The ids of the topics' logs, and the offset after the last by topic and partition."""

    ids: dict[str, str]
    ends: dict[tuple[str, int], int]


class CatchUp:
    """Compares the fences with the log's ends at the start, until they have passed those once."""

    def __init__(self, log: LogReader, signals: SignalReader, partitions: int) -> None:
        self._reader, self._signals, self._partitions = log, signals, range(partitions)
        self._ends: _LogEnds | None = None
        self._reason: str | None = "nobody has looked yet whether the signals have caught up"
        self._found: str | None = None
        self._without_progress = 0

    def reason(self) -> str | None:
        """Why the signals are behind; None once they have caught up."""
        return self._reason

    async def run(self) -> None:
        """Look until the signals have caught up."""
        task = BackgroundTask("comparing signals with the log")
        while self._reason is not None:
            with task.step():
                self._reason = await self.look()
            await asyncio.sleep(task.pause(_LOOK_SECONDS) if self._reason else 0.0)

    async def look(self) -> str | None:
        """Compares once; returns why the signals are behind."""
        found = await self._compare()
        self._without_progress = self._without_progress + 1 if found == self._found else 0
        self._found = found
        if found is not None and self._without_progress >= _PATIENCE:
            _log.warning("signals_not_waited_for", reason=found)
            return None
        return found

    async def _compare(self) -> str | None:
        try:
            if self._ends is None:
                self._ends = await asyncio.to_thread(self._read_ends)
            lag = await self._lag(self._ends)
        except (LogUnavailable, StoreUnavailable) as error:
            return f"nobody knows whether the signals have caught up: {error}"
        return f"signals are {lag:,} records behind the log" if lag else None

    def _read_ends(self) -> _LogEnds:
        ends = {(topic, p): self._reader.bounds(topic, p) for topic in topics.FACTS for p in self._partitions}
        # A partition whose records have all expired has nothing to catch up with.
        return _LogEnds(
            {topic: self._reader.log_id(topic) for topic in topics.FACTS},
            {place: end for place, (begin, end) in ends.items() if end > begin},
        )

    async def _lag(self, log: _LogEnds) -> int:
        lags = [0]
        for signal, topic in _TOPICS.items():
            fences = await self._signals.fences(signal, self._partitions)
            for partition in self._partitions:
                fence = fences.get(partition)
                applied = fence.offset + 1 if fence is not None and fence.log_id == log.ids[topic] else 0
                lags.append(log.ends.get((topic, partition), 0) - applied)
        return sum(lag for lag in lags if lag > 0)
