"""A blend: the weighted sum of what several models say of a person, each by how far an item stands out to it."""

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
    """C components over the same I items, and ``weights`` (C,) float32, none below 0, of their standard scores.

    A standard score is how many standard deviations an item's score lies above the mean over all items, for one
    person and one component: components need no common scale.
    """

    kind: ClassVar[str] = "blend"

    weights: Floats

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "weights", frozen(self.weights, np.float32, (len(self.components),)))

    def score_histories(self, histories: Histories) -> Floats:
        """Every item's score for each person, shape (n, I); around 0, a standard deviation about 1."""
        scores = np.zeros((len(histories.user_ids), len(self.item_ids)), dtype=np.float32)
        for component, weight in zip(self.components, self.weights, strict=True):
            if weight:
                of_one = standard(component.model.score_histories(histories))
                of_one *= weight
                scores += of_one
        return scores

    def similar(self, item_id: str, count: int) -> ScoredList:
        """What the component of the greatest weight that knows of similar items says; none where no component does."""
        for at in np.argsort(-self.weights, kind="stable").tolist():
            of_one: Any = self.components[at].model
            if hasattr(of_one, "similar"):
                found: ScoredList = of_one.similar(item_id, count)
                return found
        return ScoredList()

    def save(self) -> bytes:
        """The model as bytes: its components' bytes one after the other."""
        return pack(self.kind, {"weights": self.weights, **pack_components(self.components)})

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Read what ``save`` wrote; raises Undecodable."""
        arrays = unpack(cls.kind, data)
        return cls(unpack_components(arrays), arrays["weights"])


def standard(scores: Floats) -> Floats:
    """Standard scores of each row, in place of the scores; 0 where a row is the same everywhere."""
    scores -= scores.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    deviations = np.sqrt(np.einsum("ij,ij->i", scores, scores) / max(1, scores.shape[1]))
    # What rounding leaves of a row of equal scores is no information.
    deviations[deviations < np.finfo(np.float32).tiny] = np.inf
    scores /= deviations[:, None].astype(np.float32)
    return scores
