"""Listening on a port, and answering there until a signal ends it: uvicorn, the same for every HTTP process."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Any, Final

import uvicorn

from schemas.api import KEEP_ALIVE_SECONDS
from schemas.errors import PortInUse

_BACKLOG: Final = 2_048


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


def serve(app: Any, listening: socket.socket, log_level: str) -> None:
    """Answer on a listening socket until a signal ends it in an orderly way; ``app`` is an ASGI application."""
    config = uvicorn.Config(app, log_level=log_level.lower(), access_log=False, timeout_keep_alive=KEEP_ALIVE_SECONDS)
    # uvicorn raises the signal again after an orderly stop; here that is the orderly end.
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
