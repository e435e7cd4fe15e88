"""Servers of a local stack that encrypt and ask for a user: certificates, and the administrator's password."""

import ssl
from dataclasses import dataclass
from pathlib import Path

ADMIN = "admin"
"""The administrator of Kafka and Redis. It makes the other users."""


@dataclass(frozen=True)
class StackSecurity:
    """Certificates in PEM files, made by whoever starts the stack, and the password of ``ADMIN``.

    The certificate's common name is the name by which Kafka's own nodes know each other.
    """

    ca: Path
    certificate: Path
    key: Path
    """The certificate's key, as PKCS#8 without a password."""
    password: str
    node: str = "node"
    """The common name of the certificate."""

    def client_context(self) -> ssl.SSLContext:
        """How a probe connects: with the certificate of the servers themselves."""
        context = ssl.create_default_context(cafile=str(self.ca))
        # A probe asks whether a server serves; an expired certificate is for its clients to refuse.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(self.certificate, self.key)
        return context

    def bundle(self, folder: Path) -> Path:
        """Key and certificate in one file, as the Java servers read them."""
        path = folder / "server.pem"
        path.touch(mode=0o600)
        path.write_text(self.key.read_text() + self.certificate.read_text())
        return path
