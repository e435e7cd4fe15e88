"""An authority for tests, and certificates that it signs: valid, expired, or of another authority."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)


class Certificate(NamedTuple):
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates for servers on the loopback, and for clients."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._authority = folder, trustme.CA(key_type=trustme.KeyType.RSA)
        self.ca = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.ca))

    def sign(self, name: str, *, expired: bool = False) -> Certificate:
        """A certificate of this common name for the loopback."""
        signed = self._authority.issue_cert(
            "127.0.0.1",
            "127.0.0.2",
            "127.0.0.3",
            "localhost",
            common_name=name,
            not_after=datetime.now(UTC) - timedelta(days=1) if expired else None,
            not_before=datetime.now(UTC) - timedelta(days=9),
            key_type=trustme.KeyType.RSA,
        )
        made = Certificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        made.certificate.write_bytes(b"".join(blob.bytes() for blob in signed.cert_chain_pems))
        key = load_pem_private_key(signed.private_key_pem.bytes(), None)
        # Kafka reads PKCS#8 alone.
        made.key.touch(mode=0o600)
        made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return made
