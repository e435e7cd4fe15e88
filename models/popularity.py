"""Popularity: how much each item was interacted with; the baseline, and the answer when nothing else is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from models.arrays import Floats, frozen, pack, pack_ids, unpack, unpack_ids
from models.lists import ScoredList
from models.recommender import Histories


@dataclass(frozen=True, eq=False)
class Popularity:
    """Scores of I items: ``item_ids`` (I), ``scores`` (I,) float32, summed weights of interactions."""

    kind: ClassVar[str] = "popularity"

    item_ids: tuple[str, ...]
    scores: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores", frozen(self.scores, np.float32, (len(self.item_ids),)))

    @cached_property
    def _index(self) -> dict[str, int]:
        return {item_id: i for i, item_id in enumerate(self.item_ids)}

    def index_of(self, item_id: str) -> int | None:
        """The item's position, or None where it is not known."""
        return self._index.get(item_id)

    def score(self) -> Floats:
        """Every item's score, shape (I,)."""
        return self.scores

    def score_histories(self, histories: Histories) -> Floats:
        """The same scores for everyone, shape (n, I)."""
        return np.tile(self.scores, (len(histories.user_ids), 1))

    def score_items(self, item_ids: Iterable[str]) -> Floats:
        """These items' scores in their order; 0 for an unknown one, which nobody has touched."""
        found = (self._index.get(item_id) for item_id in item_ids)
        return np.array([0.0 if i is None else self.scores[i] for i in found], dtype=np.float32)

    def top(self, count: int) -> ScoredList:
        """The most popular items."""
        return ScoredList.best(self.item_ids, self.scores, count)

    def save(self) -> bytes:
        """The model as bytes."""
        return pack(self.kind, {"scores": self.scores, **pack_ids("items", self.item_ids)})

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Read what ``save`` wrote; raises Undecodable."""
        arrays = unpack(cls.kind, data)
        return cls(unpack_ids("items", arrays), arrays["scores"])
