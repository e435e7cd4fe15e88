"""Runs the embedded application until it is told to stop."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

import uvicorn

from deploy.embedded.app import Nearline, create_app
from schemas.api import KEEP_ALIVE_SECONDS
from schemas.errors import PortInUse
from serving.config import Settings as ServingSettings


def serve(folder: Path, running: Nearline, taken: socket.socket, settings: ServingSettings) -> None:
    """Answer on a listening socket until a signal ends it in an orderly way."""
    app = create_app(folder, running, settings)
    config = uvicorn.Config(
        app, log_level=settings.log_level.lower(), access_log=False, timeout_keep_alive=KEEP_ALIVE_SECONDS
    )
    # uvicorn raises the signal again after an orderly stop; here that is the orderly end.
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[taken])


def listening(host: str, port: int) -> socket.socket:
    """A listening socket, taken before anything slow begins; raises PortInUse."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
        taken.listen(2_048)
    except OSError as error:
        taken.close()
        raise PortInUse(
            f"cannot listen on {host}:{port} ({error.strerror}): stop what uses it, or choose another with --port"
        ) from error
    return taken
