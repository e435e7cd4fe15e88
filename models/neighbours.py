"""Item neighbours: the N most similar items of each item, and scores of a profile by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from models.structures.arrays import Floats, Ints, frozen, pack, pack_ids, unpack, unpack_ids
from models.structures.lists import ScoredList
from models.structures.prepared import prepared
from models.structures.recommender import Histories
from schemas.errors import Undecodable


@dataclass(frozen=True, eq=False)
class Neighbours:
    """``indices`` (I, N) int32 and ``scores`` (I, N) float32: each row holds an item's neighbours, best first.

    A row with fewer than N is padded with index -1 and score 0.
    """

    kind: ClassVar[str] = "neighbours"

    item_ids: tuple[str, ...]
    indices: Ints
    scores: Floats

    def __post_init__(self) -> None:
        shape = (len(self.item_ids), self.indices.shape[1] if self.indices.ndim == 2 else 0)
        object.__setattr__(self, "indices", frozen(self.indices, np.int32, shape))
        object.__setattr__(self, "scores", frozen(self.scores, np.float32, shape))
        if self.indices.size and not -1 <= self.indices.min() <= self.indices.max() < len(self.item_ids):
            raise Undecodable("not a stored model: a neighbour is not among the items")

    @prepared
    def _index(self) -> dict[str, int]:
        return {item_id: i for i, item_id in enumerate(self.item_ids)}

    def index_of(self, item_id: str) -> int | None:
        """Returns the item's position, or None if it is unknown."""
        return self._index.get(item_id)

    def similar(self, item_id: str, count: int) -> ScoredList:
        """Returns the best neighbours of an item. Empty if it is unknown."""
        i = self._index.get(item_id)
        if i is None or count <= 0:
            return ScoredList()
        width = min(count, int((self.indices[i] >= 0).sum()))
        ids = tuple(self.item_ids[j] for j in self.indices[i, :width].tolist())
        return ScoredList(ids, tuple(self.scores[i, :width].tolist()))

    def score(self, profile: Mapping[str, float]) -> Floats:
        """Returns every item's score, shape (I,): the sum over the profile of weight × similarity. Unknown items are ignored."""
        known = {i: weight for item_id, weight in profile.items() if (i := self._index.get(item_id)) is not None}
        return self._summed(np.array(list(known), dtype=np.int32), np.array(list(known.values()), dtype=np.float32))

    def score_histories(self, histories: Histories) -> Floats:
        """Returns every item's score for each person, shape (n, I), from the history alone."""
        scores = np.empty((len(histories.user_ids), len(self.item_ids)), dtype=np.float32)
        for row in range(scores.shape[0]):
            scores[row] = self._summed(*histories.row(row))
        return scores

    def _summed(self, items: Ints, weights: Floats) -> Floats:
        indices, shares = self.indices[items], self.scores[items] * weights[:, None]
        present = indices >= 0
        summed = np.bincount(indices[present], weights=shares[present], minlength=len(self.item_ids))
        return summed.astype(np.float32)

    def save(self) -> bytes:
        """Returns the model as bytes."""
        return pack(self.kind, {"indices": self.indices, "scores": self.scores, **pack_ids("items", self.item_ids)})

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Reads the bytes of ``save``. Raises Undecodable."""
        arrays = unpack(cls.kind, data)
        return cls(unpack_ids("items", arrays), arrays["indices"], arrays["scores"])
