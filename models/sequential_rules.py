"""Sequential rules: the N most frequent followers of each item. They score the items after a user's newest items.

Kamehkhosh, Jannach and Ludewig, "A Comparison of Frequent Pattern Techniques and a Deep Learning Method for
Session-Based Recommendation", RecTemp 2017 (sequential rules). Rows are as in ``Neighbours``, but directed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from models.neighbours import Neighbours
from models.session_knn import faded
from models.structures.arrays import Floats, Ints, pack, pack_ids, unpack, unpack_ids
from models.structures.recommender import Histories


@dataclass(frozen=True, eq=False)
class SequentialRules(Neighbours):
    """``Neighbours`` whose rows are followers: the items after an item. ``scores`` are shares of all followers' weight."""

    kind: ClassVar[str] = "followers"
    """The name of stored values."""

    age: float = 1.0
    """The item n positions before the newest of a history counts exp(-n / age)."""
    same: float = 0.0
    """Score of the item itself, relative to 1 for its best follower."""

    def score_histories(self, histories: Histories) -> Floats:
        """Returns every item's score for each person, shape (n, I), from the order of the history alone."""
        scores = np.empty((len(histories.user_ids), len(self.item_ids)), dtype=np.float32)
        for row in range(scores.shape[0]):
            items = histories.row(row)[0]
            scores[row] = self.score_sequence(items)
        return scores

    def score_sequence(self, items: Ints) -> Floats:
        """Returns every item's score, shape (I,), after these distinct items (positions, oldest first)."""
        weights = faded(self.age, items.size)
        scores = self._summed(items, weights)
        if self.scores.shape[1]:
            scores[items] += self.same * weights * self.scores[items, 0]
        return scores

    def save(self) -> bytes:
        """Returns the model as bytes."""
        using = np.array([self.age, self.same])
        arrays = {"indices": self.indices, "scores": self.scores, "using": using}
        return pack(self.kind, arrays | pack_ids("items", self.item_ids))

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Reads the bytes of ``save``. Raises Undecodable."""
        arrays = unpack(cls.kind, data)
        return cls(unpack_ids("items", arrays), arrays["indices"], arrays["scores"], *arrays["using"].tolist())
