"""Dead letters: records that could not be decoded or applied, with their coordinates and the reason."""

from __future__ import annotations

import base64
from datetime import datetime
from hashlib import blake2b

import msgspec

from schemas.log.records import Record


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One refused record: its original bytes (base64), its coordinates, who refused it and why."""

    topic: str
    partition: int
    offset: int
    key: str
    value: str
    refused_by: str
    reason: str
    at: datetime

    def original(self) -> bytes:
        """The refused bytes."""
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


def refuse(record: Record, refused_by: str, reason: str, at: datetime) -> DeadLetter:
    """The dead letter of a record."""
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=base64.b64encode(record.key).decode(),
        value=base64.b64encode(record.value).decode(),
        refused_by=refused_by,
        reason=reason,
        at=at,
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
