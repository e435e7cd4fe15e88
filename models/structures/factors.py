"""Item factors of several algorithms, and the fold-in of a user's items.

Factors come from a truncated singular value decomposition (Cremonesi, Koren, Turrin, RecSys 2010).
Others come from a non-negative factorization (Lee, Seung, Nature 1999), from pairwise ranking (Rendle et al., "BPR",
UAI 2009), or from text embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Floats, frozen, pack, pack_ids, unpack, unpack_ids
from models.structures.lists import ScoredList
from models.structures.recommender import Histories

_SWEEPS: Final = 10
"""Number of sweeps of coordinate descent. More did not change any tested ranking."""


@dataclass(frozen=True, eq=False)
class Factors:
    """``item_factors`` Q (I, d), ``item_biases`` (I,), ``projection`` M (d, d), and trained users' ``user_factors``.

    A user with interaction weights w has the vector x = Σ w_i·q_i / n^``share`` · M, n = Σ w_i. If
    ``nonnegative``, x ≥ 0 is the least squares fit of Σ w_i e_i by Q. A score is Q·x + bias. Users are stored only if
    their trained factors differ from x.
    """

    kind: ClassVar[str] = "factors"

    item_ids: tuple[str, ...]
    item_factors: Floats
    item_biases: Floats
    projection: Floats
    share: float = 0.0
    """Exponent of a user's total interaction weight, by which the vector is divided: 0 adds up, 1 takes the mean."""
    nonnegative: bool = False
    user_ids: tuple[str, ...] = ()
    user_factors: Floats | None = None

    def __post_init__(self) -> None:
        d = self.item_factors.shape[-1]
        users = np.zeros((0, d)) if self.user_factors is None else self.user_factors
        object.__setattr__(self, "item_factors", frozen(self.item_factors, np.float32, (len(self.item_ids), d)))
        object.__setattr__(self, "item_biases", frozen(self.item_biases, np.float32, (len(self.item_ids),)))
        object.__setattr__(self, "projection", frozen(self.projection, np.float32, (d, d)))
        object.__setattr__(self, "user_factors", frozen(users, np.float32, (len(self.user_ids), d)))

    @cached_property
    def _index(self) -> dict[str, int]:
        return {item_id: i for i, item_id in enumerate(self.item_ids)}

    @cached_property
    def _users(self) -> dict[str, int]:
        return {user_id: i for i, user_id in enumerate(self.user_ids)}

    @cached_property
    def _gram(self) -> Floats:
        """QᵀQ, shape (d, d), its diagonal above 0."""
        gram = self.item_factors.T @ self.item_factors
        np.fill_diagonal(gram, np.maximum(np.diag(gram), np.finfo(np.float32).tiny))
        return gram

    @cached_property
    def _directions(self) -> Floats:
        """Item factors of length one. Zero factors stay zero."""
        lengths = np.linalg.norm(self.item_factors, axis=1, keepdims=True)
        directions: Floats = np.divide(self.item_factors, np.where(lengths > 0, lengths, 1), dtype=np.float32)
        return directions

    @property
    def dimensions(self) -> int:
        """Returns the number of factors."""
        return int(self.item_factors.shape[1])

    def index_of(self, item_id: str) -> int | None:
        """Returns the item's position, or None if it is unknown."""
        return self._index.get(item_id)

    def vector(self, user_id: str) -> Floats | None:
        """Returns a user's trained factors, shape (d,). None if the user is not stored."""
        u = self._users.get(user_id)
        return None if u is None or self.user_factors is None else self.user_factors[u]

    def fold_in(self, weights: Mapping[str, float]) -> Floats:
        """Returns the factors (d,) of a user with these interactions, by item id.

        Unknown items and weights that are not positive are ignored. An empty profile gives the zero vector.
        """
        known = {i: w for item_id, w in weights.items() if w > 0 and (i := self._index.get(item_id)) is not None}
        vector: Floats = self._folded(
            np.array([0, len(known)]), np.array(list(known), dtype=np.intp), np.array(list(known.values()), np.float32)
        )[0]
        return vector

    def score(self, vector: Floats) -> Floats:
        """Returns every item's score for a user's factors (d,), shape (I,)."""
        return self.item_factors @ vector + self.item_biases

    def score_histories(self, histories: Histories) -> Floats:
        """Returns every item's score for each person, shape (n, I): by trained factors if stored, else by folded-in ones.

        Each item of a stored history counts 1.
        """
        vectors = self._folded(histories.indptr, histories.items, np.ones_like(histories.weights))
        for row, user_id in enumerate(histories.user_ids):
            trained = self.vector(user_id)
            if trained is not None:
                vectors[row] = trained
        scores: Floats = vectors @ self.item_factors.T + self.item_biases
        return scores

    def similar(self, item_id: str, count: int) -> ScoredList:
        """Returns the nearest items by cosine, without the item itself. Empty if it is unknown."""
        i = self._index.get(item_id)
        if i is None:
            return ScoredList()
        scores = self._directions @ self._directions[i]
        scores[i] = -np.inf
        return ScoredList.best(self.item_ids, scores, count)

    def _folded(self, indptr: NDArray[Any], items: NDArray[Any], weights: Floats) -> Floats:
        """Returns vectors (n, d) of n histories, given as rows of items and weights."""
        sums = np.zeros((indptr.size - 1, self.dimensions), dtype=np.float32)
        totals = np.zeros(indptr.size - 1, dtype=np.float32)
        for row in np.flatnonzero(np.diff(indptr)).tolist():
            entries = slice(indptr[row], indptr[row + 1])
            sums[row] = weights[entries] @ self.item_factors[items[entries]]
            totals[row] = weights[entries].sum()
        shares = np.where(totals > 0, totals, 1) ** np.float32(self.share)
        projected: Floats = (sums / shares[:, None]).astype(np.float32) @ self.projection
        return self._descended(projected, sums) if self.nonnegative else projected

    def _descended(self, initial: Floats, sums: Floats) -> Floats:
        """Solves non-negative least squares by coordinate descent (Hsieh, Dhillon, KDD 2011), for n users at once."""
        solution, gram = np.maximum(initial, 0), self._gram
        for dimension in list(range(self.dimensions)) * _SWEEPS:
            step = (solution @ gram[:, dimension] - sums[:, dimension]) / gram[dimension, dimension]
            solution[:, dimension] = np.maximum(solution[:, dimension] - step, 0)
        return solution

    def save(self) -> bytes:
        """Returns the model as bytes."""
        arrays: dict[str, Any] = {
            "item_factors": self.item_factors,
            "item_biases": self.item_biases,
            "projection": self.projection,
            "user_factors": self.user_factors,
            "settings": np.array([self.share, self.nonnegative], dtype=np.float64),
        }
        return pack(self.kind, arrays | pack_ids("items", self.item_ids) | pack_ids("users", self.user_ids))

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Reads the bytes of ``save``. Raises Undecodable."""
        arrays = unpack(cls.kind, data)
        factors = arrays["item_factors"], arrays["item_biases"], arrays["projection"]
        share, nonnegative = arrays["settings"].tolist()
        users = unpack_ids("users", arrays), arrays["user_factors"]
        return cls(unpack_ids("items", arrays), *factors, share, bool(nonnegative), *users)
