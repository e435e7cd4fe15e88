"""Dead letters: records that could not be decoded or applied, with their coordinates and the reason."""

from __future__ import annotations

import base64
from datetime import datetime
from hashlib import blake2b
from typing import Final

import msgspec

from schemas.log.records import Record

LONGEST_REASON: Final = 1_000
"""Limit of characters of a reason. An exception may repeat the value at which it was raised."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One refused record: its original bytes (base64), its coordinates, who refused it and why.

    A letter that would be too large for its topic holds only the first bytes of the record. ``cut_from`` is then the
    record's size in bytes, and the reason says so.
    """

    topic: str
    partition: int
    offset: int
    key: str
    value: str
    refused_by: str
    reason: str
    at: datetime
    cut_from: int | None = None

    def original(self) -> bytes:
        """The refused bytes, or the first of them if the letter was cut."""
        return base64.b64decode(self.value)

    @property
    def identity(self) -> str:
        """An id of the refused record: equal for all letters of one record, and different for other records."""
        coordinates = f"{self.topic}:{self.partition}:{self.offset}:".encode()
        return blake2b(coordinates + self.original(), digest_size=12).hexdigest()

    def original_key(self) -> bytes:
        """The refused record's key."""
        return base64.b64decode(self.key)


class Resolution(msgspec.Struct, frozen=True, kw_only=True, tag="resolution"):
    """The record on the dead-letter topic that a letter was replayed: its ``identity``, and its new position."""

    identity: str
    topic: str
    token: str
    at: datetime


_DECODER = msgspec.json.Decoder(DeadLetter)
_RESOLUTION = msgspec.json.Decoder(Resolution)


def refuse(record: Record, refused_by: str, reason: str, at: datetime, limit: int | None = None) -> DeadLetter:
    """The dead letter of a record. It keeps the first ``limit`` bytes of key and value; None keeps all."""
    size, value = len(record.value or b""), (record.value or b"")[:limit]
    cut = len(value) < size
    reason = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]} ..."
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=base64.b64encode(record.key[:limit]).decode(),
        value=base64.b64encode(value).decode(),
        refused_by=refused_by,
        reason=f"{reason} (only the first {len(value):,} of its {size:,} bytes are kept here)" if cut else reason,
        at=at,
        cut_from=size if cut else None,
    )


def encode_dead_letter(letter: DeadLetter) -> bytes:
    """The dead letter as JSON."""
    return msgspec.json.encode(letter)


def decode_dead_letter(value: bytes) -> DeadLetter:
    """Reads a dead letter; raises msgspec.DecodeError if the bytes are not one."""
    return _DECODER.decode(value)


def encode_resolution(resolution: Resolution) -> bytes:
    """The resolution as JSON."""
    return msgspec.json.encode(resolution)


def decode_resolution(value: bytes) -> Resolution:
    """Reads a resolution; raises msgspec.DecodeError if the bytes are not one."""
    return _RESOLUTION.decode(value)
