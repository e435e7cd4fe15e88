"""Takes people out of stored models: the rows of their factors, whatever the kind of the model."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np

from models.structures.arrays import kind_of, pack, pack_ids, unpack, unpack_ids

_USERS: Final = "users"
_FACTORS: Final = "user_factors"


def without_users(data: bytes, user_ids: Collection[str]) -> bytes | None:
    """Returns a stored model without the factors of these users; None if it holds none of them. Raises Undecodable.

    What was learned from them about items stays until the next training.
    """
    kind = kind_of(data)
    arrays = unpack(kind, data)
    if f"{_USERS}_offsets" not in arrays:
        return None
    stored = unpack_ids(_USERS, arrays)
    rows = np.array([row for row, user_id in enumerate(stored) if user_id not in user_ids], dtype=np.intp)
    if rows.size == len(stored):
        return None
    remaining = pack_ids(_USERS, [stored[row] for row in rows.tolist()])
    return pack(kind, arrays | {_FACTORS: arrays[_FACTORS][rows]} | remaining)
