"""Limits and encryption of the connections of a process that serves HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import ConfigurationInvalid


class ConnectionSettings(BaseModel):
    """How many connections a process keeps, and how long a client may take for its part of a request."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    connections: Annotated[int, Field(ge=1)] = 8_192
    """Most connections of an HTTP process. It is less where the limit of open files (`ulimit -Hn`) is below it: a quarter of the files, at least 128, is kept for everything else. At the limit, connections without a complete request are closed, the quietest first."""
    connections_per_client: Annotated[int, Field(ge=1)] = 1_024
    """Most connections of one client address (of IPv6: of one /64), and at most half of all; at the limit this client's quietest connection makes room, or it is answered 429. Behind a proxy all clients have the proxy's address."""
    header_seconds: Annotated[float, Field(gt=0)] = 10.0
    """Time for the head of a request, from the connection or from its first byte; then the connection is closed, with 408 where a request has begun."""
    body_seconds: Annotated[float, Field(gt=0)] = 30.0
    """Time for the body of a request, and a second more for each 64 KiB that have come; then 408. A client that reads no more of its answer for this time is cut off."""
    tls_certificate: Path | None = None
    """PEM file of the certificate of this process's own HTTP server, with its chain; without one it serves plain HTTP. SIGHUP reads it again."""
    tls_key: Path | None = None
    """PEM file of that certificate's key, without a password."""

    def own_certificate(self) -> tuple[Path, Path] | None:
        """Certificate and key of this process's HTTP server; None without TLS. Raises ConfigurationInvalid."""
        if self.tls_certificate is None or self.tls_key is None:
            if self.tls_certificate is not self.tls_key:
                raise ConfigurationInvalid("set FRESHET_TLS_CERTIFICATE and FRESHET_TLS_KEY both, or neither")
            return None
        for name, path in (("CERTIFICATE", self.tls_certificate), ("KEY", self.tls_key)):
            if not path.is_file():
                raise ConfigurationInvalid(f"FRESHET_TLS_{name}: there is no file {path}")
        return self.tls_certificate, self.tls_key
