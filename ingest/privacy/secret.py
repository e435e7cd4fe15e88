"""The site's secret: it signs receipts, and makes the keyed hashes that stand for people in them."""

from __future__ import annotations

import hmac
import os
import re
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from schemas.erasures import ErasureReceipt, encode_receipt
from schemas.errors import ConfigurationInvalid

FILE: Final = "receipt.key"
_BYTES: Final = 32
_OF_ERASURE: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):\d+")
"""The event id of a ``forget`` that belongs to an erasure: the erasure's id and a number."""


class SiteSecret:
    """Signs and hashes under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def person(self, subject: str) -> str:
        """The keyed hash of a person's key. Without the secret nobody can tell whose it is."""
        return self._digest(b"person\n" + subject.encode()).hex()

    def erasure_id(self, event_id: str) -> str:
        """The id of the erasure that a ``forget`` with this event id belongs to."""
        match = _OF_ERASURE.fullmatch(event_id)
        return match[1] if match else str(UUID(bytes=self._digest(b"erasure\n" + event_id.encode())[:16], version=4))

    def sign(self, receipt: ErasureReceipt) -> ErasureReceipt:
        """The receipt with its signature."""
        unsigned = msgspec.structs.replace(receipt, signature="")
        signature = self._digest(encode_receipt(unsigned)).hex()
        return msgspec.structs.replace(receipt, signature=signature)

    def is_signed(self, receipt: ErasureReceipt) -> bool:
        """True if this secret signed the receipt and nothing of it was changed."""
        return hmac.compare_digest(self.sign(receipt).signature, receipt.signature)

    def _digest(self, text: bytes) -> bytes:
        return hmac.new(self._key, text, sha256).digest()


def site_secret(configured: str, folder: Path) -> SiteSecret:
    """The configured secret, or that of the data folder, which is made at first use and readable by its owner only.

    Raises ConfigurationInvalid.
    """
    if configured:
        return SiteSecret(configured.encode())
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _make(path)
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise ConfigurationInvalid(
            f"the secret of receipts in {path} cannot be used ({error}): set FRESHET_RECEIPT_SECRET"
        ) from error
    return SiteSecret(key)


def _make(path: Path) -> None:
    """Makes the file unless it exists. It gets its name when it is whole: another process may make it too."""
    if path.exists():
        return
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(unfinished, path)
        except FileExistsError:
            return
    finally:
        unfinished.unlink()
