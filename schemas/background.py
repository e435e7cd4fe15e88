"""Background tasks of a process: each repeats a step, and no failure of a step ends the task or the process.

An unforeseen failure is logged with its traceback and counted. Until a step of the task succeeds, readiness names the task
(``failing``), and the alert FreshetBackgroundTaskFails fires. Whoever repeats the step, on an event loop or in a thread,
waits ``pause`` before the next one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from weakref import WeakSet

import structlog
from prometheus_client import Counter, Gauge

FAILURES: Final = Counter(
    "freshet_background_failures_total",
    "Unforeseen failures of background tasks, by task. A task goes on after a failure.",
    ("task",),
)
FAILING: Final = Gauge(
    "freshet_background_failing", "1 while the last step of a background task has failed.", ("task",)
)
FIRST_PAUSE: Final = 0.1
"""Seconds to wait after a failure; each further failure in a row doubles them."""
LONGEST_PAUSE: Final = 10.0
"""Seconds to wait at most after failures in a row."""

_log = structlog.get_logger(__name__)


class BackgroundTask:
    """One background task; its methods are for the one thread or event loop that repeats its step."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._failures_in_row = 0
        self.failure: str | None = None
        """The last failure, until a step succeeds."""
        # Begin the series at 0: an alert on an increase would miss the first failure.
        FAILURES.labels(name)
        FAILING.labels(name).set(0)
        _TASKS.add(self)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Runs a step. An exception of it ends here; cancellation and the end of the process do not."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the task goes on
            self._fail(error)
        else:
            self.reset()

    def pause(self, seconds: float = 0.0) -> float:
        """Seconds to wait before the next step: these, or more after failures in a row."""
        if not self._failures_in_row:
            return seconds
        return max(seconds, min(FIRST_PAUSE * 2.0 ** (self._failures_in_row - 1), LONGEST_PAUSE))

    def reset(self) -> None:
        """Forget failures: a step has succeeded, or the task has been ended."""
        if self.failure is not None:
            _log.info("background_task_goes_on", task=self.name, failures=self._failures_in_row)
            FAILING.labels(self.name).set(0)
        self._failures_in_row, self.failure = 0, None

    def _fail(self, error: Exception) -> None:
        FAILURES.labels(self.name).inc()
        FAILING.labels(self.name).set(1)
        if self.failure is None:
            _log.error("background_task_failed", task=self.name, exc_info=error)
        self._failures_in_row = min(self._failures_in_row + 1, 32)
        self.failure = repr(error)[:200]


_TASKS: Final[WeakSet[BackgroundTask]] = WeakSet()


def failing() -> list[str]:
    """Returns a sentence for each background task of this process that fails now; for readiness."""
    failures = {task.name: task.failure for task in list(_TASKS) if task.failure is not None}
    return [f"{name} fails: {failure}; the log of the process says where" for name, failure in sorted(failures.items())]
