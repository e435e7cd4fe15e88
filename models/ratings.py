"""Predicted ratings: the mean, a bias of each item, and a bias of the user.

The baseline of Koren, "Factor in the Neighbors: Scalable and Accurate Collaborative Filtering", TKDD 2010, section 2.1.
The user's bias is computed at request time from the ratings that the user has given by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from models.structures.arrays import Floats, frozen, pack, pack_ids, unpack, unpack_ids


@dataclass(frozen=True, eq=False)
class Ratings:
    """``item_bias`` (I,) float32 in stars above ``mean``; predictions stay within ``lowest`` and ``highest``.

    ``damping`` is the number of virtual ratings without a deviation in a user's mean.
    """

    kind: ClassVar[str] = "ratings"

    item_ids: tuple[str, ...]
    item_bias: Floats
    mean: float
    damping: float
    lowest: float
    highest: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "item_bias", frozen(self.item_bias, np.float32, (len(self.item_ids),)))

    @cached_property
    def _index(self) -> dict[str, int]:
        return {item_id: i for i, item_id in enumerate(self.item_ids)}

    def predict(self, own: Mapping[str, float], item_ids: Sequence[str]) -> Floats:
        """Returns the predicted stars for these items, in order, from the user's own ratings by item.

        An item without ratings counts as an average one.
        """
        deviations = np.array(list(own.values()), np.float64) - self._expected(list(own))
        user_bias = deviations.sum() / (len(own) + self.damping)
        predicted: Floats = np.clip(self._expected(item_ids) + user_bias, self.lowest, self.highest).astype(np.float32)
        return predicted

    def _expected(self, item_ids: Sequence[str]) -> Floats:
        """Returns the expected rating of each item, shape (n,)."""
        positions = (self._index.get(item_id) for item_id in item_ids)
        return np.array([self.mean + (0.0 if i is None else float(self.item_bias[i])) for i in positions])

    def save(self) -> bytes:
        """Returns the model as bytes."""
        settings = np.array([self.mean, self.damping, self.lowest, self.highest], np.float64)
        return pack(self.kind, {"item_bias": self.item_bias, "settings": settings, **pack_ids("items", self.item_ids)})

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Reads the bytes of ``save``. Raises Undecodable."""
        arrays = unpack(cls.kind, data)
        return cls(unpack_ids("items", arrays), arrays["item_bias"], *arrays["settings"].tolist())
