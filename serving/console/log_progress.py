"""How far the log and the signals are, for a process that neither takes events nor folds them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

import structlog

from schemas.errors import FreshetError
from schemas.keys import Signal
from schemas.log import topics
from schemas.ports import LogReader, SignalStore

_SECONDS: Final = 5.0
_log = structlog.get_logger(__name__)

OpenBoth = Callable[[], AbstractContextManager[tuple[LogReader, SignalStore]]]


class LogProgress:
    """Reads the ends of the log and the fences of ``users`` in a thread of its own."""

    def __init__(self, open_both: OpenBoth) -> None:
        self._open_both = open_both
        self._values: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log progress", daemon=True)

    def __call__(self) -> dict[str, float]:
        """``events``: all events on the log; ``lag``: those that are not applied. Empty where they could not be read."""
        return self._values

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    def stop(self) -> None:
        """Ends reading."""
        self._stop.set()
        self._thread.join(_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with self._open_both() as (reader, signals):
                    self._values = progress_of(reader, signals)
            except FreshetError as error:
                self._values = {}
                _log.warning("log_progress_unknown", reason=str(error))
            self._stop.wait(_SECONDS)


def progress_of(reader: LogReader, signals: SignalStore) -> dict[str, float]:
    """All events that the log ever got, and how many of them are not applied. Raises LogUnavailable, StoreUnavailable."""
    events = lag = 0
    log_id = reader.log_id(topics.EVENTS)
    for partition in range(reader.partitions(topics.EVENTS)):
        _, end = reader.bounds(topics.EVENTS, partition)
        fence = signals.fence(partition, Signal.USERS)
        applied = fence.offset + 1 if fence is not None and fence.log_id == log_id else 0
        events, lag = events + end, lag + max(0, end - applied)
    return {"events": float(events), "lag": float(lag)}
