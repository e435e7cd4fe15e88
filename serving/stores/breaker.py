"""A deadline and a circuit breaker for the reads of one store, so that no request waits for a store that is down.

Closed: calls go through. After ``failures`` in a row it opens: calls fail at once. After ``rest`` seconds one
call is let through as a probe. Its success closes the breaker; its failure opens it for another ``rest``.
(Nygard, "Release It!", 2007.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Final, TypeVar

import structlog

from schemas.errors import FreshetError, StoreUnavailable, Undecodable, ValueCorrupt
from schemas.ports import Clock
from serving import metrics

T = TypeVar("T")
_GRACE_TURNS: Final = 5
_log = structlog.get_logger(__name__)


class ReadFailed(StoreUnavailable):
    """A read of a store failed, was too slow, or was not tried because the breaker is open."""

    def __init__(self, store: str, outcome: str) -> None:
        super().__init__(f"{store}: {outcome}")
        self.store, self.outcome = store, outcome


class Breaker:
    """The circuit breaker of one store. ``clock`` is a monotonic clock (seconds)."""

    def __init__(self, failures: int, rest: float, clock: Clock) -> None:
        self._limit, self._rest, self._clock = failures, rest, clock
        self._failed = 0
        self._retry_at = 0.0

    @property
    def open(self) -> bool:
        """Whether calls are refused, except for a probe."""
        return self._failed >= self._limit

    def admit(self) -> bool:
        """Whether this call may go through; while the breaker is open, true once every ``rest`` seconds."""
        if not self.open:
            return True
        now = self._clock()
        if now < self._retry_at:
            return False
        # This call is the probe; others are refused until the next one.
        self._retry_at = now + self._rest
        return True

    def succeeded(self) -> None:
        """A call succeeded: close the breaker."""
        self._failed = 0

    def failed(self) -> None:
        """A call failed or was too slow: count it."""
        self._failed += 1
        if self.open:
            self._retry_at = self._clock() + self._rest


class StoreGuard:
    """Calls one store under a deadline and its breaker, and counts the outcomes."""

    def __init__(self, store: str, seconds: float, breaker: Breaker) -> None:
        self._store, self._seconds, self._breaker = store, seconds, breaker
        self._observe = metrics.STORE_SECONDS.labels(store).observe
        self._outcomes = {kind: metrics.STORE_OUTCOMES.labels(store, kind) for kind in _OUTCOMES}
        self._gauge = metrics.BREAKER_OPEN.labels(store)

    async def call(self, read: Callable[[], Awaitable[T]], seconds: float | None = None) -> T:
        """The answer of the store within ``seconds`` (by default those of the guard); raises ReadFailed."""
        if not self._breaker.admit():
            self._outcomes["open"].inc()
            raise ReadFailed(self._store, "open")
        began = perf_counter()
        try:
            answer = await _with_deadline(read, self._seconds if seconds is None else seconds)
        except TimeoutError:
            self._fail("timeout")
            raise ReadFailed(self._store, "timeout") from None
        except (ValueCorrupt, Undecodable) as error:
            # The store answers. One value that cannot be read says nothing about the others.
            self._succeed("corrupt")
            _log.warning("value_unreadable", store=self._store, error=str(error))
            raise ReadFailed(self._store, "corrupt") from error
        except (FreshetError, OSError) as error:
            self._fail("failed", error)
            raise ReadFailed(self._store, "failed") from error
        self._observe(perf_counter() - began)
        self._succeed()
        return answer

    def _succeed(self, outcome: str = "ok") -> None:
        self._outcomes[outcome].inc()
        if self._breaker.open:
            self._gauge.set(0)
            _log.info("source_recovered", store=self._store)
        self._breaker.succeeded()

    def _fail(self, outcome: str, error: Exception | None = None) -> None:
        was_open = self._breaker.open
        self._outcomes[outcome].inc()
        self._breaker.failed()
        if self._breaker.open and not was_open:
            self._gauge.set(1)
            _log.warning("source_down", store=self._store, outcome=outcome, error=str(error or "too slow"))


_OUTCOMES = ("ok", "timeout", "failed", "corrupt", "open")


async def _with_deadline(read: Callable[[], Awaitable[T]], seconds: float) -> T:
    """The answer of ``read``; raises TimeoutError.

    An answer that arrived while this process was busy is not late: after the deadline it gets a few turns of the loop.
    """
    deadline = _Deadline()
    loop = asyncio.get_running_loop()
    timer = loop.call_later(seconds, deadline.passed, loop, _GRACE_TURNS)
    try:
        return await read()
    except asyncio.CancelledError:
        if deadline.ended and deadline.task.uncancel() <= deadline.cancelling:
            raise TimeoutError from None
        raise
    finally:
        deadline.over = True
        timer.cancel()


class _Deadline:
    """Cancels the current task a few turns of the loop after the deadline, unless ``over`` is set before."""

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task, self.cancelling = task, task.cancelling()
        self.over = self.ended = False

    def passed(self, loop: asyncio.AbstractEventLoop, turns: int) -> None:
        """The deadline has passed: wait for this number of turns, then cancel the read."""
        if self.over:
            return
        if turns:
            loop.call_soon(self.passed, loop, turns - 1)
        else:
            self.ended = True
            self.task.cancel()
