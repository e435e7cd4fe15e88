"""Lets a process that was started before its servers wait for them, and say so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from schemas.errors import FreshetError, LogUnavailable, ServerMissing, StoreUnavailable

PAUSE_SECONDS: Final = 0.5
"""Pause between two attempts."""
SAY_SECONDS: Final = 5.0
"""Time between two lines about what the process waits for."""

_log = structlog.get_logger(__name__)


def say_while_waiting(attempt: Callable[[], None], process: str) -> None:
    """``wait_for_servers`` in a thread beside a process that serves already. A failure that waiting does not change is logged."""

    def wait() -> None:
        try:
            wait_for_servers(attempt, process)
        except FreshetError as error:
            _log.error("servers_not_prepared", process=process, reason=str(error))

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
