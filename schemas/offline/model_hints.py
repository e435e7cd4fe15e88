"""The records of the ``models`` topic: hints that the active version changed. Only the store's pointer is authoritative."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec

from schemas.errors import Undecodable

HINT_KEY: Final = b"active"
"""The key of every hint, so that they keep their order."""


class ModelHint(msgspec.Struct, frozen=True, kw_only=True):
    """The active version changed to ``version``."""

    version: str
    previous: str | None
    reason: Literal["published", "promoted", "rolled_back"]
    at: datetime


_DECODER = msgspec.json.Decoder(ModelHint)


def encode_hint(hint: ModelHint) -> bytes:
    """The hint as JSON."""
    return msgspec.json.encode(hint)


def decode_hint(value: bytes) -> ModelHint:
    """Reads a hint; raises Undecodable if the bytes are not one."""
    try:
        return _DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(f"not a hint of a model: {error}") from error
