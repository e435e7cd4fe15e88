"""The watch: looks every few seconds whether log and store are still those that the lanes follow.

Its own thread and reader, so that questions never stand in an event's way. It changes nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import structlog

from nearline import metrics
from nearline.assignment import Lane
from nearline.processor import SIGNALS
from schemas.errors import LogReplaced, LogUnavailable, StoreUnavailable
from schemas.keys import Signal
from schemas.ports import LogReader, SignalStore

WATCH_SECONDS: Final = 2.0

log = structlog.get_logger()


class Watch:
    """For one thread; blocking."""

    def __init__(self, reader: LogReader, store: SignalStore) -> None:
        self._reader, self._store = reader, store

    def look(self, lanes: Iterable[Lane]) -> None:
        """Compare each open lane with log and store; a lane whose past has changed must read its fences again.

        Raises LogReplaced where a topic is another one than its lanes follow.
        """
        try:
            self._look([lane for lane in lanes if lane.opened])
        except (LogUnavailable, StoreUnavailable) as error:
            # Nothing is known, so nothing is concluded; the lanes meet the failure themselves.
            log.warning("watch_failed", error=str(error))
            metrics.RETRIES.labels("watch").inc()

    def _look(self, lanes: list[Lane]) -> None:
        ids = {topic: self._reader.log_id(topic) for topic in {lane.topic for lane in lanes}}
        for lane in lanes:
            if lane.log_id != ids[lane.topic]:
                raise LogReplaced(f"the log of {lane.topic} was {lane.log_id} and is {ids[lane.topic]} now")
        for lane in lanes:
            # The position is read first: log and fence may go on meanwhile, but never fall behind it.
            position = lane.next
            _, end = self._reader.bounds(lane.topic, lane.partition)
            metrics.LAG.labels(lane.topic, str(lane.partition)).set(max(0, end - position))
            if end < position or self._went_back(lane, position):
                log.warning("lane_doubted", topic=lane.topic, partition=lane.partition, position=position, end=end)
                metrics.RETRIES.labels("went_back").inc()
                lane.doubt()

    def _went_back(self, lane: Lane, position: int) -> bool:
        for signal in SIGNALS[lane.topic]:
            fence = self._store.fence(lane.partition, signal)
            if fence is None or fence.log_id != lane.log_id:
                return True
            if signal != Signal.AGGREGATES and fence.offset < position - 1:
                return True
        return False
