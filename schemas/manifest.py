"""The manifest of a model version."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class DataWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The interactions on which a version was trained."""

    interactions: int
    users: int
    items: int
    first_at: datetime | None = None
    last_at: datetime | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest of an immutable version: its origin and its contents."""

    version: str
    created_at: datetime
    algorithm: str
    engine: str
    parameters: dict[str, Any]
    window: DataWindow
    offsets: dict[str, int]
    """The end (the offset after the last archived record) of each ``"<log id>/<topic>/<partition>"`` in the training data."""
    values: tuple[str, ...]
    lists: dict[str, int]
    """Number of keys of each kind of list."""
    metrics: dict[str, float] = {}
    code_version: str = "unknown"
    parent: str | None = None


_DECODER = msgspec.json.Decoder(Manifest)


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest as JSON."""
    return msgspec.json.encode(manifest)


def decode_manifest(value: bytes) -> Manifest:
    """Reads a manifest; raises msgspec.DecodeError if the bytes are not one."""
    return _DECODER.decode(value)
