"""Follows the topic ``access`` in a thread of its own, so that a key that is made or revoked counts within a second."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from deploy.access.known_keys import KnownKeys
from schemas.access.view import read_on
from schemas.background import BackgroundTask
from schemas.errors import FreshetError, LogUnavailable, TopicMissing
from schemas.http.access.metrics import READ_AT
from schemas.ports import Clock, LogReader

POLL_SECONDS: Final = 0.5
"""Pause between two reads of the topic."""
STALE_SECONDS: Final = 5.0
"""If the topic was not read for so long, readiness says so."""
_STOP_SECONDS: Final = 3.0
_CHECK_READS: Final = 60
"""Reads between two looks at the log's own id."""

_log = structlog.get_logger(__name__)


class AccessFollower:
    """Keeps the newest ``view`` of the keys. Any thread may read it; ``start`` and ``stop`` belong to one."""

    def __init__(
        self,
        open_reader: Callable[[], LogReader],
        known_keys: KnownKeys,
        clock: Clock,
        prepare: Callable[[], None] = lambda: None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """``prepare`` makes the topic on a log that lacks it, because it is older than this version."""
        self._open_reader, self._known_keys, self._clock, self._prepare = open_reader, known_keys, clock, prepare
        self._poll_seconds = poll_seconds
        self.view = known_keys.read()
        self.read_at: float | None = None
        """When the topic was last read to its end; None before the first time."""
        self._reason = "it has not been read yet"
        self._reads = 0
        self._reader: LogReader | None = None
        self._after_read: list[Callable[[], None]] = []
        self._first = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="access", daemon=True)

    def after_each_read(self, work: Callable[[], None]) -> None:
        """Calls ``work`` on the follower's thread after each read, also after one that failed."""
        self._after_read.append(work)

    def start(self, patience: float) -> None:
        """Begins to follow. Returns after the first read, or after ``patience`` seconds if the log does not answer."""
        self._thread.start()
        self._first.wait(patience)

    def stop(self) -> None:
        """Ends following; waits a moment, and no longer for a log that does not answer."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def missing(self) -> list[str]:
        """A sentence if the keys are not known, so that nobody can be let in; for readiness."""
        if self.view.is_known:
            return []
        return [f"the keys are not known, so every request is refused: {self._reason}"]

    def warnings(self) -> list[str]:
        """A sentence if the keys were read a while ago, so that a revocation may be missed, or cannot be kept in the file."""
        warnings = [] if self._known_keys.fault is None else [self._known_keys.fault]
        age = None if self.read_at is None else self._clock() - self.read_at
        if self.view.is_known and (age is None or age > STALE_SECONDS):
            since = "since this process started" if age is None else f"for {age:.0f} s"
            warnings.append(f"the keys were not read {since}, so those known before count: {self._reason}")
        return warnings

    def _run(self) -> None:
        task = BackgroundTask("following keys")
        while True:
            with task.step():
                self._read()
            self._first.set()
            for work in self._after_read:
                with task.step():
                    work()
            if self._stop.wait(task.pause(self._poll_seconds)):
                break
        self._close()

    def _read(self) -> None:
        try:
            self._reader = self._reader or self._open_reader()
            view = read_on(self.view, self._reader, check_log=self._reads % _CHECK_READS == 0)
        except FreshetError as error:
            # A dead log is expected, and said in readiness.
            if self._reads or (self.read_at is None and self._reason != str(error)):
                _log.warning("keys_not_read", reason=str(error))
            self._reason = str(error)
            self._close()
            if isinstance(error, TopicMissing):
                self._make_topic()
            return
        if self.read_at is None or self._reads == 0:
            _log.info("keys_read", keys=len(view.keys))
        self._reads += 1
        if view is not self.view:
            self._known_keys.write(view)
        self.view, self.read_at = view, self._clock()
        READ_AT.set(self.read_at)

    def _make_topic(self) -> None:
        try:
            self._prepare()
        except FreshetError as error:
            _log.warning("access_topic_not_made", reason=str(error))

    def _close(self) -> None:
        self._reads = 0
        if self._reader is not None:
            with suppress(LogUnavailable):
                self._reader.close()
            self._reader = None
