"""Listens on a port and serves an application with uvicorn until a signal ends it. All HTTP processes use this."""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import uvicorn

from adapters.http_connections import ConnectionLimits, protocol_of, raise_file_limit
from schemas.errors import PortInUse
from schemas.http.api import KEEP_ALIVE_SECONDS
from schemas.http.connection_settings import ConnectionSettings

DEFAULT_CONNECTIONS: Final = ConnectionSettings()
_BACKLOG: Final = 2_048
_GARBAGE: Final = (5_000, 10, 400)
"""Thresholds of the garbage collector. A request creates hundreds of objects, and hardly any in a cycle.

A collection of the youngest generation blocks all requests: with twenty thousand objects for 25 ms.
"""


def listen(host: str, port: int, otherwise: str) -> socket.socket:
    """Returns a listening socket; port 0 means any free port. Call it before any slow work begins.

    Raises PortInUse. Its sentence ends with ``otherwise``, which says how to choose another port.
    """
    is_ipv6 = ":" in host
    try:
        return socket.create_server(
            (host, port),
            family=socket.AF_INET6 if is_ipv6 else socket.AF_INET,
            backlog=_BACKLOG,
            dualstack_ipv6=is_ipv6 and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise PortInUse(f"cannot listen on {host}:{port} ({reason}): stop what uses it, or {otherwise}") from error


class _UvicornServer(uvicorn.Server):
    """Announces that it stops before it waits for requests to end, so that endless responses can be ended."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Calls ``stopping``, then waits for the requests."""
        self._stopping()
        await super().shutdown(sockets)


def serve(
    app: Any,
    listening: socket.socket,
    log_level: str,
    stopping: Callable[[], None] = lambda: None,
    connections: ConnectionSettings = DEFAULT_CONNECTIONS,
) -> None:
    """Serves ``app``, an ASGI application, on a listening socket until a signal ends it in an orderly way.

    ``stopping`` is called on the event loop when the shutdown begins. It ends the responses that have no end.
    ``connections`` bounds connections and their clients' time; the limit of open files is raised as far as it may be.
    """
    config = uvicorn.Config(
        app,
        http=protocol_of(ConnectionLimits(connections, raise_file_limit())),
        log_level=log_level.lower(),
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    # Objects that exist by now stay. Without freezing, each full collection would visit all of them.
    gc.freeze()
    gc.set_threshold(*_GARBAGE)
    # uvicorn raises the signal again after an orderly stop. Here it ends the call, so that callers can clean up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        _UvicornServer(config, stopping).run(sockets=[listening])
