"""A blend: the weighted sum of the standard scores of several models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from models.structures.arrays import Floats, frozen, pack, unpack
from models.structures.components import Combined, pack_components, unpack_components
from models.structures.lists import ScoredList
from models.structures.recommender import Histories


@dataclass(frozen=True, eq=False)
class Blend(Combined):
    """C components over the same I items, and ``weights`` (C,) float32, not negative, of their standard scores.

    A standard score is the number of standard deviations above the mean over all items, for one person and one
    component. Components therefore need no common scale.
    """

    kind: ClassVar[str] = "blend"

    weights: Floats

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "weights", frozen(self.weights, np.float32, (len(self.components),)))

    def score_histories(self, histories: Histories) -> Floats:
        """Returns every item's score for each person, shape (n, I); mean about 0."""
        scores = np.zeros((len(histories.user_ids), len(self.item_ids)), dtype=np.float32)
        for component, weight in zip(self.components, self.weights, strict=True):
            if weight:
                component_scores = standard(component.model.score_histories(histories))
                component_scores *= weight
                scores += component_scores
        return scores

    def similar(self, item_id: str, count: int) -> ScoredList:
        """Returns the similar items by the component with the largest weight that has them. Empty if none has."""
        for index in np.argsort(-self.weights, kind="stable").tolist():
            model: Any = self.components[index].model
            if hasattr(model, "similar"):
                similar_items: ScoredList = model.similar(item_id, count)
                return similar_items
        return ScoredList()

    def save(self) -> bytes:
        """Returns the model as bytes, which contain the bytes of its components."""
        return pack(self.kind, {"weights": self.weights, **pack_components(self.components)})

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Reads the bytes of ``save``. Raises Undecodable."""
        arrays = unpack(cls.kind, data)
        return cls(unpack_components(arrays), arrays["weights"])


def standard(scores: Floats) -> Floats:
    """Turns each row into standard scores, in place. A constant row becomes 0."""
    scores -= scores.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    deviations = np.sqrt(np.einsum("ij,ij->i", scores, scores) / max(1, scores.shape[1]))
    # A constant row may keep rounding errors, which carry no information.
    deviations[deviations < np.finfo(np.float32).tiny] = np.inf
    scores /= deviations[:, None].astype(np.float32)
    return scores
