"""Listens on a port and serves an application with uvicorn until a signal ends it. All HTTP processes use this."""

from __future__ import annotations

import gc
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import structlog
import uvicorn

from adapters.http.connections import ConnectionLimits, protocol_of, raise_file_limit
from schemas.errors import ConfigurationInvalid, PortInUse
from schemas.http.api import KEEP_ALIVE_SECONDS
from schemas.http.connection_settings import ConnectionSettings

_log = structlog.get_logger(__name__)

DEFAULT_CONNECTIONS: Final = ConnectionSettings()
_BACKLOG: Final = 2_048
_END_SECONDS: Final = 3.0
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
    *,
    trusted_proxies: Sequence[str] = (),
) -> None:
    """Serves ``app``, an ASGI application, on a listening socket until a signal ends it in an orderly way.

    ``stopping`` is called on the event loop when the shutdown begins. It ends the responses that have no end.
    ``connections`` bounds connections and their clients' time; the limit of open files is raised as far as it may be.
    Where it names a certificate, the server speaks HTTPS alone, and SIGHUP reads the certificate again, for new
    connections. Raises ConfigurationInvalid if it cannot be used.
    ``trusted_proxies`` are addresses and networks whose X-Forwarded-For names the client; anybody else could make it up.
    """
    config = _config(app, log_level, connections, trusted_proxies)
    # Objects that exist by now stay. Without freezing, each full collection would visit all of them.
    gc.freeze()
    gc.set_threshold(*_GARBAGE)
    # uvicorn raises the signal again after an orderly stop. Here it ends the call, so that callers can clean up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        _UvicornServer(config, stopping).run(sockets=[listening])


@contextmanager
def serving(
    app: Any,
    listening: socket.socket,
    connections: ConnectionSettings = DEFAULT_CONNECTIONS,
    *,
    trusted_proxies: Sequence[str] = (),
) -> Iterator[None]:
    """Serves ``app`` as ``serve`` does, but from a thread beside other work, until the block ends. Call it in the main thread."""
    server = uvicorn.Server(_config(app, "WARNING", connections, trusted_proxies))
    thread = threading.Thread(target=server.run, args=([listening],), name="http", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(_END_SECONDS)


def _config(
    app: Any, log_level: str, connections: ConnectionSettings, trusted_proxies: Sequence[str]
) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=protocol_of(ConnectionLimits(connections, raise_file_limit())),
        log_level=log_level.lower(),
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
    )
    if (certificate := connections.own_certificate()) is not None:
        _encrypt(config, certificate)
    return config


def _encrypt(config: uvicorn.Config, certificate: tuple[Path, Path]) -> None:
    config.load()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(*certificate)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationInvalid(
            f"the certificate {certificate[0]} and the key {certificate[1]} cannot be used together ({error}): "
            "set FRESHET_TLS_CERTIFICATE and FRESHET_TLS_KEY to PEM files that belong together"
        ) from error
    config.ssl = context

    def read_again(*_: Any) -> None:
        try:
            context.load_cert_chain(*certificate)
        except (OSError, ssl.SSLError) as error:
            _log.warning("certificate_not_reloaded", certificate=str(certificate[0]), reason=str(error))
        else:
            _log.info("certificate_reloaded", certificate=str(certificate[0]))

    signal.signal(signal.SIGHUP, read_again)
