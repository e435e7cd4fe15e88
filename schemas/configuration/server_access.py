"""How a process and a server prove to each other who they are: users, passwords and certificates."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import SecretStr

NO_SECRET: Final = SecretStr("")


class ServerAccess(NamedTuple):
    """A user and certificates for one server. The default is a server that asks for nothing."""

    user: str = ""
    password: SecretStr = NO_SECRET
    tls: bool = False
    """Whether the connection is encrypted."""
    ca: Path | None = None
    """PEM file of the authority that signed the server's certificate; None means the authorities of this machine."""
    certificate: Path | None = None
    """PEM file of this process's own certificate, for servers that ask for one."""
    key: Path | None = None
    """PEM file of that certificate's key, without a password."""
    mechanism: str = ""
    """Kafka: the SASL mechanism. Empty: the connection has no user."""
    sentinel_user: str = ""
    """Redis: the user of the sentinels."""
    sentinel_password: SecretStr = NO_SECRET
    """Redis: the password of the sentinels."""
    datacenter: str = ""
    """Cassandra: the data center of this process. Empty: that of the first node that replies."""

    def tls_context(self) -> ssl.SSLContext | None:
        """What a driver needs for an encrypted connection; None if it is not encrypted."""
        if not self.tls:
            return None
        context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


NO_ACCESS: Final = ServerAccess()
