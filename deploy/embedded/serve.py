"""Runs the embedded application until it is told to stop."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn

from deploy.embedded.app import create_app, nearline
from schemas.errors import PortInUse


def serve(folder: Path, host: str, port: int, partitions: int, log_level: str, announce: Callable[[], None]) -> None:
    """Serve the folder on an address in the foreground; raises PortInUse, FolderLocked.

    ``announce`` is called once the address is taken, before the first request.
    """
    with listening(host, port) as taken, nearline(folder, partitions) as running:
        config = uvicorn.Config(create_app(folder, running), log_level=log_level.lower(), access_log=False)
        announce()
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
