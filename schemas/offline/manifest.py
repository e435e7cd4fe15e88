"""The manifest of a model version."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
import structlog

from schemas.errors import UNREADABLE, Undecodable


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


_log = structlog.get_logger(__name__)


def without_lists(manifest: Manifest, kind: str, count: int) -> Manifest:
    """The manifest of a version from which so many lists of a kind were erased."""
    lists = {**manifest.lists, kind: max(0, manifest.lists.get(kind, 0) - count)}
    return msgspec.structs.replace(manifest, lists=lists)


_DECODER = msgspec.json.Decoder(Manifest)


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest as JSON."""
    return msgspec.json.encode(manifest)


def decode_manifest(value: bytes) -> Manifest:
    """Reads a manifest; raises Undecodable if the bytes are not one."""
    try:
        return _DECODER.decode(value)
    except UNREADABLE as error:
        raise Undecodable(f"not a manifest of a model version: {error}") from error


def decode_manifests(values: Iterable[bytes]) -> list[Manifest]:
    """Reads manifests, and leaves out those that cannot be read: without its manifest, a version does not exist."""
    manifests = []
    for value in values:
        try:
            manifests.append(decode_manifest(value))
        except Undecodable as error:
            _log.error("manifest_unreadable", error=str(error))
    return manifests
