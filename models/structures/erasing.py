"""Takes people out of stored models: the rows of their factors, whatever the kind of the model."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np

from models.structures.arrays import Arrays, kind_of, pack, pack_ids, unpack, unpack_ids

_USERS: Final = "users"
_FACTORS: Final = "user_factors"
_MODEL: Final = b"PK\x03\x04"
"""The first bytes of a stored model, which may be an array of another one."""
_TEXT: Final = "_utf8"
"""End of the names of arrays that hold ids, whatever bytes those begin with."""


def without_users(data: bytes, user_ids: Collection[str]) -> bytes | None:
    """Returns a stored model without the factors of these users; None if it holds none of them. Raises Undecodable.

    Models that it is made of lose them too. What was learned from these users about items stays until the next training.
    """
    kind = kind_of(data)
    arrays = unpack(kind, data)
    changed = {**_without_rows(arrays, user_ids), **_without_users_inside(arrays, user_ids)}
    return pack(kind, arrays | changed) if changed else None


def _without_rows(arrays: Arrays, user_ids: Collection[str]) -> Arrays:
    if f"{_USERS}_offsets" not in arrays:
        return {}
    stored = unpack_ids(_USERS, arrays)
    rows = np.array([row for row, user_id in enumerate(stored) if user_id not in user_ids], dtype=np.intp)
    if rows.size == len(stored):
        return {}
    remaining = pack_ids(_USERS, [stored[row] for row in rows.tolist()])
    return {_FACTORS: arrays[_FACTORS][rows], **remaining}


def _without_users_inside(arrays: Arrays, user_ids: Collection[str]) -> Arrays:
    inside = {name: v.tobytes() for name, v in arrays.items() if v.dtype == np.uint8 and not name.endswith(_TEXT)}
    models = {name: without_users(data, user_ids) for name, data in inside.items() if data.startswith(_MODEL)}
    return {name: np.frombuffer(data, dtype=np.uint8) for name, data in models.items() if data is not None}
