"""Runs the embedded application until a signal ends it."""

from __future__ import annotations

import socket

from adapters import http_server
from deploy.embedded.app import Nearline, create_app
from serving.config import Settings as ServingSettings


def serve(running: Nearline, listener: socket.socket, settings: ServingSettings) -> None:
    """Serves on a listening socket until a signal ends it in an orderly way."""
    app = create_app(running, settings)
    http_server.serve(app, listener, settings.log_level, app.state.service.notifications.close, settings)


def listen(host: str, port: int) -> socket.socket:
    """Returns a listening socket; raises PortInUse. Call it before any slow work begins."""
    return http_server.listen(host, port, "choose another with --port")
