"""Factors for cold-start items and users: a linear map from attributes to factors.

Gantner et al., "Learning Attribute-to-Feature Mappings for Cold-Start Recommendations", ICDM 2010. The mapped
factors are the prior of the exact half step of ``models.als``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.als import Als
from models.content import Content, attribute_terms
from models.structures.arrays import Floats, frozen, pack, pack_ids, unpack, unpack_ids
from models.structures.lists import ScoredList
from models.structures.recommender import Histories
from schemas.catalogue import Item


@dataclass(frozen=True, eq=False)
class Hybrid:
    """An ALS over I items with users, the ``content`` of the items over T terms, and linear maps from terms to d factors.

    ``item_mean`` (d,), ``item_slopes`` (T, d); users' attributes are binary ``user_terms`` (A), with
    ``user_mean`` (d,) and ``user_slopes`` (A, d). ``cold_ids`` (C) with ``cold_factors`` (C, d) are the items without
    interactions at training.
    """

    kind: ClassVar[str] = "hybrid"

    factors: Als
    content: Content
    item_mean: Floats
    item_slopes: Floats
    user_terms: tuple[str, ...]
    user_mean: Floats
    user_slopes: Floats
    cold_ids: tuple[str, ...]
    cold_factors: Floats

    def __post_init__(self) -> None:
        d = self.factors.dimensions
        shapes = {
            "item_mean": (d,),
            "item_slopes": (len(self.content.terms), d),
            "user_mean": (d,),
            "user_slopes": (len(self.user_terms), d),
            "cold_factors": (len(self.cold_ids), d),
        }
        for name, shape in shapes.items():
            object.__setattr__(self, name, frozen(getattr(self, name), np.float32, shape))

    @cached_property
    def _user_terms(self) -> dict[str, int]:
        return {term: row for row, term in enumerate(self.user_terms)}

    @property
    def item_ids(self) -> tuple[str, ...]:
        """Returns the I ids of items with interactions, sorted."""
        return self.factors.item_ids

    def index_of(self, item_id: str) -> int | None:
        """Returns the item's position in ``item_ids``, or None if it is not there."""
        return self.factors.index_of(item_id)

    def item_prior(self, item: Item) -> Floats:
        """Returns the factors (d,) of an item by its attributes. The mean if none of its terms is known."""
        prior: Floats = self.item_mean + self.content.fold_in_item(item) @ self.item_slopes
        return prior

    def user_prior(self, attributes: Mapping[str, Any]) -> Floats:
        """Returns the factors (d,) of a user by their attributes. The mean if none of them is known."""
        known = {row for term in attribute_terms(attributes) if (row := self._user_terms.get(term)) is not None}
        prior: Floats = self.user_mean + self.user_slopes[sorted(known)].sum(axis=0)
        return prior

    def fold_in(self, weights: Mapping[str, float], attributes: Mapping[str, Any] | None = None) -> Floats:
        """Returns the factors (d,) of a user with these interactions, by item id, and optional attributes."""
        return self.factors.fold_in(weights, self.user_prior(attributes) if attributes else None)

    def fold_in_item(self, weights: Mapping[str, float], item: Item) -> Floats:
        """Returns the factors (d,) of an item by its attributes and its first users. Weights are by user id."""
        return self.factors.fold_in_item(weights, self.item_prior(item))

    def score(self, vector: Floats) -> Floats:
        """Returns every item's score for a user's factors (d,), shape (I,)."""
        return self.factors.score(vector)

    def score_histories(self, histories: Histories) -> Floats:
        """Returns every item's score for each person, shape (n, I): by trained factors, or by folded-in ones for a new user."""
        return self.factors.score_histories(histories)

    def cold(self, vector: Floats, count: int) -> ScoredList:
        """Returns the best cold-start items for a user's factors (d,), on the scale of ``score``."""
        return ScoredList.best(self.cold_ids, self.cold_factors @ vector, count)

    def similar(self, item_id: str, count: int) -> ScoredList:
        """Returns the nearest items by cosine, without the item itself. Empty if it is unknown."""
        return self.factors.similar(item_id, count)

    def save(self) -> bytes:
        """Returns the model as bytes."""
        arrays: dict[str, NDArray[Any]] = {
            "factors": np.frombuffer(self.factors.save(), dtype=np.uint8),
            "content": np.frombuffer(self.content.save(), dtype=np.uint8),
            "item_mean": self.item_mean,
            "item_slopes": self.item_slopes,
            "user_mean": self.user_mean,
            "user_slopes": self.user_slopes,
            "cold_factors": self.cold_factors,
        }
        return pack(self.kind, arrays | pack_ids("user_terms", self.user_terms) | pack_ids("cold", self.cold_ids))

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Reads the bytes of ``save``. Raises Undecodable."""
        arrays = unpack(cls.kind, data)
        return cls(
            Als.load(arrays["factors"].tobytes()),
            Content.load(arrays["content"].tobytes()),
            arrays["item_mean"],
            arrays["item_slopes"],
            unpack_ids("user_terms", arrays),
            arrays["user_mean"],
            arrays["user_slopes"],
            unpack_ids("cold", arrays),
            arrays["cold_factors"],
        )
