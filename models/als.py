"""Matrix factorization of implicit feedback by alternating least squares.

Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008. An interaction of
weight w has preference 1 and confidence c = 1 + alpha·w; everything else has preference 0 and confidence 1.
It is trained by ``implicit``, by our own solver or by Spark MLlib. The half step of this value is exact for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Doubles, Floats, frozen, pack, pack_ids, unpack, unpack_ids
from models.structures.lists import ScoredList
from models.structures.prepared import prepared
from models.structures.recommender import Histories


class _Profile(NamedTuple):
    """The known part of a profile: ids, factors Y (n, d) and confidences c (n,). For an item, these are its users."""

    ids: list[str]
    factors: Doubles
    confidences: Doubles


@dataclass(frozen=True, eq=False)
class Als:
    """Factors of U users and I items in d dimensions, and the constants of a half step.

    ``user_factors`` (U, d) and ``item_factors`` (I, d) float32. A user with n interactions is regularized by
    λ = ``regularization`` + n · ``per_interaction``. ``implicit`` uses only the first, Spark MLlib only the second,
    Rendle et al. ("Revisiting the Performance of iALS", RecSys 2022) both. An item has ``item_regularization``
    instead of the first.
    """

    kind: ClassVar[str] = "als"

    user_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    user_factors: Floats
    item_factors: Floats
    regularization: float
    alpha: float
    per_interaction: float = 0.0
    item_regularization: float = 0.0

    def __post_init__(self) -> None:
        d = self.item_factors.shape[-1]
        object.__setattr__(self, "user_factors", frozen(self.user_factors, np.float32, (len(self.user_ids), d)))
        object.__setattr__(self, "item_factors", frozen(self.item_factors, np.float32, (len(self.item_ids), d)))

    @prepared
    def _items(self) -> dict[str, int]:
        return {item_id: i for i, item_id in enumerate(self.item_ids)}

    @prepared
    def _users(self) -> dict[str, int]:
        return {user_id: i for i, user_id in enumerate(self.user_ids)}

    @prepared
    def _gram(self) -> Doubles:
        """YᵀY, shape (d, d)."""
        wide = self.item_factors.astype(np.float64)
        return wide.T @ wide

    @cached_property
    def _user_gram(self) -> Doubles:
        """XᵀX, shape (d, d)."""
        wide = self.user_factors.astype(np.float64)
        return wide.T @ wide

    @prepared
    def _by_dimension(self) -> Floats:
        """Item factors (d, I). In this layout, BLAS computes scores twice as fast."""
        return np.ascontiguousarray(self.item_factors.T)

    @cached_property
    def _directions(self) -> Floats:
        """Item factors of length one. Zero factors stay zero."""
        lengths = np.linalg.norm(self.item_factors, axis=1, keepdims=True)
        lengths[lengths == 0] = 1
        directions: Floats = np.divide(self.item_factors, lengths, dtype=np.float32)
        return directions

    @property
    def dimensions(self) -> int:
        """Returns the number of factors."""
        return int(self.item_factors.shape[1])

    def index_of(self, item_id: str) -> int | None:
        """Returns the item's position, or None if it is unknown."""
        return self._items.get(item_id)

    def vector(self, user_id: str) -> Floats | None:
        """Returns a user's trained factors, shape (d,). None if the user is unknown."""
        u = self._users.get(user_id)
        return None if u is None else self.user_factors[u]

    def score(self, vector: Floats) -> Floats:
        """Returns every item's score for a user's factors (d,), shape (I,); about 0 to 1."""
        scores: Floats = vector @ self._by_dimension
        return scores

    def score_histories(self, histories: Histories) -> Floats:
        """Returns every item's score for each person, shape (n, I): by trained factors, or by folded-in ones for a new user."""
        vectors = [self._vector_of(histories, row, user_id) for row, user_id in enumerate(histories.user_ids)]
        scores: Floats = np.array(vectors, dtype=np.float32).reshape(-1, self.dimensions) @ self.item_factors.T
        return scores

    def score_items(self, vector: Floats, item_ids: Iterable[str]) -> Floats:
        """Returns the scores of these items, in order. NaN for an unknown item."""
        positions = np.array([self._items.get(item_id, -1) for item_id in item_ids], dtype=np.intp)
        scores = self.item_factors[positions] @ vector
        return np.where(positions >= 0, scores, np.float32(np.nan))

    def similar(self, item_id: str, count: int) -> ScoredList:
        """Returns the nearest items by cosine, without the item itself. Empty if it is unknown."""
        i = self._items.get(item_id)
        if i is None:
            return ScoredList()
        scores = self._directions @ self._directions[i]
        scores[i] = -np.inf
        return ScoredList.best(self.item_ids, scores, count)

    def fold_in(self, weights: Mapping[str, float], prior: Floats | None = None) -> Floats:
        """Returns the factors (d,) of a user with these interactions: one exact half step, item factors fixed.

        Weights are by item id; unknown items and weights that are not positive count nothing. With ``prior``
        factors (d,), the result is regularized towards them instead of 0. An empty profile gives the prior, or the
        zero vector.
        """
        profile = self._profile(weights, self._items, self.item_factors)
        return self._half_step(profile, self._gram, self.regularization, prior)

    def fold_in_item(self, weights: Mapping[str, float], prior: Floats | None = None) -> Floats:
        """Returns the factors (d,) of an item with these users: one exact half step, user factors fixed.

        Weights are by user id. A new item can so be scored by its first users before the next training.
        """
        profile = self._profile(weights, self._users, self.user_factors)
        return self._half_step(profile, self._user_gram, self.item_regularization, prior)

    def contributions(self, weights: Mapping[str, float], item_id: str) -> dict[str, float]:
        """Returns what each item of a profile adds to this item's score. The sum is the score of the folded-in factors.

        Section 5 of the paper. Empty for an unknown item.
        """
        i, profile = self._items.get(item_id), self._profile(weights, self._items, self.item_factors)
        if i is None or not profile.ids:
            return {}
        system = self._system(profile, self._gram, self.regularization)
        seen_from = np.linalg.solve(system, self.item_factors[i].astype(np.float64))
        shares = profile.confidences * (profile.factors @ seen_from)
        return dict(zip(profile.ids, shares.tolist(), strict=True))

    def without_users(self) -> Self:
        """Returns the model without user factors, for data with more users than fit into memory."""
        return replace(self, user_ids=(), user_factors=np.zeros((0, self.dimensions), dtype=np.float32))

    def _vector_of(self, histories: Histories, row: int, user_id: str) -> Floats:
        trained = self.vector(user_id)
        if trained is not None:
            return trained
        return self.fold_in(histories.profile(row, self.item_ids))

    def _profile(self, weights: Mapping[str, float], positions: Mapping[str, int], factors: Floats) -> _Profile:
        known = {entity_id: weight for entity_id, weight in weights.items() if entity_id in positions and weight > 0}
        rows = [positions[entity_id] for entity_id in known]
        confidences = 1.0 + self.alpha * np.array(list(known.values()), dtype=np.float64)
        return _Profile(list(known), factors[rows].astype(np.float64), confidences)

    def _half_step(self, profile: _Profile, gram: Doubles, regularization: float, prior: Floats | None) -> Floats:
        initial = np.zeros(self.dimensions) if prior is None else prior.astype(np.float64)
        if not profile.ids:
            return initial.astype(np.float32)
        system = self._system(profile, gram, regularization)
        # Only the residual of the prior's prediction moves the factors.
        missing = profile.confidences * (1.0 - profile.factors @ initial)
        solution: Floats = (initial + np.linalg.solve(system, missing @ profile.factors)).astype(np.float32)
        return solution

    def _system(self, profile: _Profile, gram: Doubles, regularization: float) -> Doubles:
        """YᵀY + Σ (c - 1) y yᵀ + λ, shape (d, d)."""
        extra = profile.factors.T @ (profile.factors * (profile.confidences - 1.0)[:, None])
        penalty = regularization + len(profile.ids) * self.per_interaction
        return gram + extra + penalty * np.eye(self.dimensions)

    def save(self) -> bytes:
        """Returns the model as bytes."""
        settings = [self.regularization, self.alpha, self.per_interaction, self.item_regularization]
        arrays: dict[str, NDArray[Any]] = {
            "user_factors": self.user_factors,
            "item_factors": self.item_factors,
            "settings": np.array(settings, dtype=np.float64),
        }
        return pack(self.kind, arrays | pack_ids("users", self.user_ids) | pack_ids("items", self.item_ids))

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Reads the bytes of ``save``. Raises Undecodable."""
        arrays = unpack(cls.kind, data)
        factors = arrays["user_factors"], arrays["item_factors"]
        return cls(unpack_ids("users", arrays), unpack_ids("items", arrays), *factors, *arrays["settings"].tolist())
