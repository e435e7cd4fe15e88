"""Lets a process that was started before its servers wait for them, and say so."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from schemas.errors import FreshetError, LogUnavailable, ServerMissing, StoreUnavailable

PAUSE_SECONDS: Final = 0.5
"""Pause between two attempts."""
SAY_SECONDS: Final = 5.0
"""Time between two lines about what the process waits for."""

_log = structlog.get_logger(__name__)


class Shutdown:
    """Ends a process that serves already because a server, or a setting, does not fit. Any thread calls it with the reason."""

    def __init__(self) -> None:
        self._error: FreshetError | None = None
        self._serves = False

    def __call__(self, error: FreshetError) -> None:
        """Keeps the reason. Ends what the main thread serves, in an orderly way."""
        self._error = error
        if self._serves:
            os.kill(
                os.getpid(), signal.SIGTERM
            )  # to the process: a signal to this thread would not wake the main thread

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Around the serving in the main thread: raises the reason, from the first moment on and also after the end."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        self._serves = True
        try:
            self._check()
            yield
        except KeyboardInterrupt:
            self._check()
            raise
        finally:
            self._serves = False
        self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error


def say_while_waiting(
    attempt: Callable[[], None], process: str, refused: Callable[[FreshetError], None] = lambda _: None
) -> None:
    """``wait_for_servers`` in a thread beside a process that serves already.

    A failure that waiting does not change is logged, and ``refused`` is called with it.
    """

    def wait() -> None:
        try:
            wait_for_servers(attempt, process)
        except FreshetError as error:
            _log.error("servers_not_prepared", process=process, reason=str(error))
            refused(error)

    threading.Thread(target=wait, name="server-wait", daemon=True).start()


def wait_for_servers(
    attempt: Callable[[], None],
    process: str,
    steady: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Repeat ``attempt`` until it succeeds, however long that takes. Raises at once what waiting does not change.

    Waited for are ServerMissing, StoreUnavailable and LogUnavailable. A wrong setting, for example, is raised.
    """
    began, said_at = steady(), float("-inf")
    while True:
        try:
            attempt()
            break
        except (ServerMissing, StoreUnavailable, LogUnavailable) as error:
            if steady() - said_at >= SAY_SECONDS:
                said_at = steady()
                _log.warning("waiting_for_servers", process=process, seconds=round(said_at - began), reason=str(error))
        sleep(PAUSE_SECONDS)
    if said_at > began - SAY_SECONDS:
        _log.info("servers_answer", process=process, seconds=round(steady() - began))
