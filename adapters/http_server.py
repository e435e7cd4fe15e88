"""Listening on a port, and answering there until a signal ends it: uvicorn, the same for every HTTP process."""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import uvicorn

from schemas.errors import PortInUse
from schemas.http.api import KEEP_ALIVE_SECONDS

_BACKLOG: Final = 2_048
_GARBAGE: Final = (5_000, 10, 400)
"""Thresholds of the garbage collector: a request makes hundreds of objects, and hardly any in a cycle.

Every look at the youngest holds up all requests: at twenty thousand for 25 ms.
"""


def listen(host: str, port: int, otherwise: str) -> socket.socket:
    """A listening socket, taken before anything slow begins; port 0 is any free one.

    Raises PortInUse, whose sentence ends with ``otherwise``: how to choose another port.
    """
    six = ":" in host
    try:
        return socket.create_server(
            (host, port),
            family=socket.AF_INET6 if six else socket.AF_INET,
            backlog=_BACKLOG,
            dualstack_ipv6=six and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise PortInUse(f"cannot listen on {host}:{port} ({reason}): stop what uses it, or {otherwise}") from error


class _Server(uvicorn.Server):
    """Says that it stops before it waits for requests to end, so that endless ones can be ended."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop in an orderly way."""
        self._stopping()
        await super().shutdown(sockets)


def serve(app: Any, listening: socket.socket, log_level: str, stopping: Callable[[], None] = lambda: None) -> None:
    """Answer on a listening socket until a signal ends it in an orderly way; ``app`` is an ASGI application.

    ``stopping`` is called on the event loop when the end begins: it ends the answers that would go on for ever.
    """
    config = uvicorn.Config(app, log_level=log_level.lower(), access_log=False, timeout_keep_alive=KEEP_ALIVE_SECONDS)
    # What stands by now stays: each full collection would walk all of it.
    gc.freeze()
    gc.set_threshold(*_GARBAGE)
    # uvicorn raises the signal again after an orderly stop; here that is the orderly end, so that callers can clean up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        _Server(config, stopping).run(sockets=[listening])
