"""Runs the embedded application until a signal ends it."""

from __future__ import annotations

import socket
from collections.abc import Callable

from adapters.http import server as http_server
from deploy.embedded.app import Nearline, create_app
from deploy.wiring.access import open_access
from serving.config import Settings as ServingSettings
from serving.main import read_limits


def serve(
    running: Nearline,
    listener: socket.socket,
    settings: ServingSettings,
    announce: Callable[[], None] = lambda: None,
) -> None:
    """Serves on a listening socket until a signal ends it in an orderly way.

    ``announce`` is called when nothing keeps it from serving. ``settings.host`` is the address that the socket listens on. Raises ConfigurationInvalid if others can reach it and
    there are no keys.
    """
    with open_access(settings, settings.host, read_limits(settings)) as access:
        app = create_app(running, settings, access)
        announce()
        stop_streams = app.state.service.notifications.close
        http_server.serve(
            app, listener, settings.log_level, stop_streams, settings, trusted_proxies=settings.trusted_proxies
        )


def listen(host: str, port: int) -> socket.socket:
    """Returns a listening socket; raises PortInUse. Call it before any slow work begins."""
    return http_server.listen(host, port, "choose another with --port")
