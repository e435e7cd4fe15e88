"""Precomputed lists: item ids with their scores, best first, packed for a key-value store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

import msgspec
import numpy as np

from models.structures.arrays import Floats, best
from schemas.errors import Undecodable

USERS: Final = "users"
"""Kind of the lists of each user's best unseen items."""
ITEMS: Final = "items"
"""Kind of the lists of each item's most similar items."""


class _PackedList(msgspec.Struct, array_like=True, frozen=True):
    item_ids: tuple[str, ...]
    scores: bytes


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_PackedList)


@dataclass(frozen=True)
class ScoredList:
    """Item ids and their scores (float32 precision), best first. Iterates over ``(item_id, score)``."""

    item_ids: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.item_ids) != len(self.scores):
            raise Undecodable(f"a list of {len(self.item_ids)} items has {len(self.scores)} scores")

    def __iter__(self) -> Iterator[tuple[str, float]]:
        return iter(zip(self.item_ids, self.scores, strict=True))

    def __len__(self) -> int:
        return len(self.item_ids)

    @classmethod
    def best(cls, item_ids: Sequence[str], scores: Floats, count: int) -> Self:
        """Returns the ``count`` best items by scores (I,). Scores that are not finite are dropped."""
        chosen = best(scores, count)
        return cls(tuple(item_ids[i] for i in chosen.tolist()), tuple(scores[chosen].tolist()))

    def save(self) -> bytes:
        """Returns MessagePack bytes: the ids, then the scores as little-endian float32."""
        return _ENCODER.encode(_PackedList(self.item_ids, np.asarray(self.scores, dtype="<f4").tobytes()))

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Reads the bytes of ``save``. Raises Undecodable."""
        try:
            packed = _DECODER.decode(data)
            scores = np.frombuffer(packed.scores, dtype="<f4")
        except (msgspec.DecodeError, ValueError) as error:
            raise Undecodable(f"not a stored list: {error}") from error
        return cls(packed.item_ids, tuple(scores.tolist()))
