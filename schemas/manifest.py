"""What a model version says of itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class DataWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The interactions a version was trained on."""

    interactions: int
    users: int
    items: int
    first_at: datetime | None = None
    last_at: datetime | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable version's manifest: where it came from and what it holds."""

    version: str
    created_at: datetime
    algorithm: str
    engine: str
    parameters: dict[str, Any]
    window: DataWindow
    offsets: dict[str, int]
    """The archived end (the offset after the last) of each ``"<log id>/<topic>/<partition>"`` it was trained on."""
    values: tuple[str, ...]
    lists: dict[str, int]
    """How many keys each kind of list has."""
    metrics: dict[str, float] = {}
    code_version: str = "unknown"
    parent: str | None = None


_DECODER = msgspec.json.Decoder(Manifest)


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest as JSON."""
    return msgspec.json.encode(manifest)


def decode_manifest(value: bytes) -> Manifest:
    """Read a manifest; raises msgspec.DecodeError where it is not one."""
    return _DECODER.decode(value)
