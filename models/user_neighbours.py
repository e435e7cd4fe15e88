"""User neighbours: the users with the most similar histories, found at request time, and scores by their items.

Resnick et al., "GroupLens: An Open Architecture for Collaborative Filtering of Netnews", CSCW 1994. No user ids
are stored. Everybody's neighbours are found from items alone, so new users need no training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Floats, Ints, are_rows, best, frozen, pack, pack_ids, unpack, unpack_ids
from models.structures.prepared import prepared
from models.structures.recommender import Histories
from models.structures.sparse import row_positions, transposed
from schemas.errors import Undecodable


class Nearest(NamedTuple):
    """Rows of the neighbour users (n,), and their similarities (n,) above 0; best first, ties by row."""

    people: NDArray[np.intp]
    similarities: Floats


@dataclass(frozen=True, eq=False)
class UserNeighbours:
    """The items of P users among I items, as rows ``indptr`` (P + 1,) int64 and ``indices`` (m,) int32.

    The similarity of a profile q of weights and a user p is Σ q_i·r_i² / (|q|·length_p + ``shrinkage``), over their
    common items i: ``rarities`` r (I,), ``lengths`` (P,) above 0, |q| = √Σ (q_i·r_i)². The ``width`` nearest count.
    """

    kind: ClassVar[str] = "user_neighbours"

    item_ids: tuple[str, ...]
    indptr: NDArray[np.int64]
    indices: Ints
    rarities: Floats
    lengths: Floats
    width: int
    shrinkage: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "indptr", frozen(self.indptr, np.int64, (self.lengths.size + 1,)))
        object.__setattr__(self, "indices", frozen(self.indices, np.int32, (self.indices.size,)))
        object.__setattr__(self, "rarities", frozen(self.rarities, np.float32, (len(self.item_ids),)))
        object.__setattr__(self, "lengths", frozen(self.lengths, np.float32, (self.lengths.size,)))
        if not are_rows(self.indptr, self.indices, len(self.item_ids)) or not (self.lengths > 0).all():
            raise Undecodable("not a stored model: what people took are not rows over its items")

    @cached_property
    def _index(self) -> dict[str, int]:
        return {item_id: i for i, item_id in enumerate(self.item_ids)}

    @prepared
    def _users_of_items(self) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """The users of each item, as rows."""
        indptr, people, _ = transposed(self.indptr, self.indices, len(self.item_ids))
        return indptr, people

    def index_of(self, item_id: str) -> int | None:
        """Returns the item's position, or None if it is unknown."""
        return self._index.get(item_id)

    def fold_in(self, weights: Mapping[str, float]) -> Nearest:
        """Returns the nearest users to these interactions. Weights are by item id.

        Unknown items and weights that are not positive are ignored. An empty profile has no neighbours.
        """
        known = {i: w for item_id, w in weights.items() if w > 0 and (i := self._index.get(item_id)) is not None}
        return self._nearest(np.array(list(known), dtype=np.intp), np.array(list(known.values()), dtype=np.float32))

    def score(self, profile: Mapping[str, float]) -> Floats:
        """Returns every item's score, shape (I,): the summed similarities of the neighbours who have it."""
        return self._summed(self.fold_in(profile))

    def score_histories(self, histories: Histories) -> Floats:
        """Returns every item's score for each person, shape (n, I), from the history alone; each of its items counts 1.

        A training user is their own neighbour, which adds only to items of the history.
        """
        scores = np.empty((len(histories.user_ids), len(self.item_ids)), dtype=np.float32)
        for row in range(scores.shape[0]):
            items, _ = histories.row(row)
            scores[row] = self._summed(self._nearest(items, np.ones(items.size, dtype=np.float32)))
        return scores

    def _nearest(self, items: NDArray[Any], weights: Floats) -> Nearest:
        indptr, people = self._users_of_items
        counts = indptr[items + 1] - indptr[items]
        shares = np.repeat(weights * self.rarities[items] ** 2, counts)
        common = np.bincount(people[row_positions(indptr[items], counts)], weights=shares, minlength=self.lengths.size)
        length = np.linalg.norm(weights * self.rarities[items])
        norms = length * self.lengths + self.shrinkage + np.finfo(float).tiny
        similarities = np.where(common > 0, common / norms, -np.inf).astype(np.float32)
        chosen = best(similarities, self.width)
        return Nearest(chosen, similarities[chosen])

    def _summed(self, nearest: Nearest) -> Floats:
        begins = self.indptr[nearest.people]
        counts = self.indptr[nearest.people + 1] - begins
        items, shares = self.indices[row_positions(begins, counts)], np.repeat(nearest.similarities, counts)
        return np.bincount(items, weights=shares, minlength=len(self.item_ids)).astype(np.float32)

    def save(self) -> bytes:
        """Returns the model as bytes."""
        arrays: dict[str, NDArray[Any]] = {
            "indptr": self.indptr,
            "indices": self.indices,
            "rarities": self.rarities,
            "lengths": self.lengths,
            "settings": np.array([self.width, self.shrinkage], dtype=np.float64),
        }
        return pack(self.kind, arrays | pack_ids("items", self.item_ids))

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Reads the bytes of ``save``. Raises Undecodable."""
        arrays = unpack(cls.kind, data)
        rows = arrays["indptr"], arrays["indices"], arrays["rarities"], arrays["lengths"]
        width, shrinkage = arrays["settings"].tolist()
        return cls(unpack_ids("items", arrays), *rows, int(width), shrinkage)
