"""Runs the embedded application until a signal ends it."""

from __future__ import annotations

import socket

from adapters import http_server
from deploy.embedded.app import Nearline, create_app
from serving.config import Settings as ServingSettings


def serve(running: Nearline, listener: socket.socket, settings: ServingSettings) -> None:
    """Answer on a listening socket until a signal ends it in an orderly way."""
    app = create_app(running, settings)
    http_server.serve(app, listener, settings.log_level, app.state.service.notifications.close)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, taken before anything slow begins; raises PortInUse."""
    return http_server.listen(host, port, "choose another with --port")
