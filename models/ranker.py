"""A learned ranker: ranks the top candidates of several models by their blend and trees over features.

Burges, "From RankNet to LambdaRank to LambdaMART: An Overview", 2010, describes how the trees are
learned. Here they are arrays, so that inference needs only numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.blend import standard
from models.features import ItemFeatures, RankingQuery, features, names
from models.structures.arrays import Floats, Ints, best, frozen, pack, unpack
from models.structures.components import Combined, Component, pack_components, unpack_components
from models.structures.recommender import Histories
from models.structures.trees import Trees
from schemas.errors import Undecodable


@dataclass(frozen=True, eq=False)
class Ranker(Combined):
    """C components over the same I items, features of the items, and the trees that rank candidates.

    ``depth`` is the number of top items of each component, outside the history, that become candidates.
    """

    kind: ClassVar[str] = "ranker"

    popularity: Floats
    """(I,). This and the next three fields are those of ``ItemFeatures``."""
    first_at: NDArray[np.float64]
    category_starts: NDArray[np.int64]
    categories: Ints
    weights: Floats
    """(C,) weights of the components in the blend to which the trees' sums are added."""
    trees: Trees
    depth: int

    def __post_init__(self) -> None:
        super().__post_init__()
        count = len(self.item_ids)
        object.__setattr__(self, "popularity", frozen(self.popularity, np.float32, (count,)))
        object.__setattr__(self, "first_at", frozen(self.first_at, np.float64, (count,)))
        object.__setattr__(self, "category_starts", frozen(self.category_starts, np.int64, (count + 1,)))
        object.__setattr__(self, "weights", frozen(self.weights, np.float32, (len(self.components),)))
        object.__setattr__(self, "categories", frozen(self.categories, np.int32, (self.categories.size,)))
        if not self.trees.are_whole(len(names([component.name for component in self.components]))):
            raise Undecodable("not a ranker: its trees do not lead to leaves")

    @property
    def described(self) -> ItemFeatures:
        """Returns the features of the items."""
        return ItemFeatures(self.popularity, self.first_at, self.category_starts, self.categories)

    def score_histories(self, histories: Histories) -> Floats:
        """Returns every item's score for each person, shape (n, I): candidates by the trees, all others below."""
        standards = standards_of(self.components, histories)
        scores: Floats = standards.mean(axis=0)
        for row in range(scores.shape[0]):
            items = candidates(standards[:, row], histories.row(row)[0], self.depth)
            query = ranking_query_of(histories, row)
            own = standards[:, row, items]
            candidate_scores = self.weights @ own + self.trees.predict(features(query, items, own, self.described))
            rest = scores[row]
            rest -= rest.max(initial=0.0) + 1.0 - candidate_scores.min(initial=0.0)
            rest[items] = candidate_scores
        return scores

    def save(self) -> bytes:
        """Returns the model as bytes."""
        arrays = self.described._asdict() | {"depth": np.array(self.depth), "weights": self.weights}
        return pack(self.kind, arrays | self.trees.arrays() | pack_components(self.components))

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Reads the bytes of ``save``. Raises Undecodable."""
        arrays = unpack(cls.kind, data)
        if "weights" not in arrays:
            raise Undecodable("a ranker of an earlier release: train anew")
        described: Any = {name: arrays[name] for name in ItemFeatures._fields}
        trees, depth = Trees.of_arrays(arrays), int(arrays["depth"])
        return cls(unpack_components(arrays), **described, weights=arrays["weights"], trees=trees, depth=depth)


def standards_of(components: Sequence[Component], histories: Histories) -> Floats:
    """Returns the standard scores by component, person and item, (C, n, I)."""
    return np.stack([standard(component.model.score_histories(histories)) for component in components])


def ranking_query_of(histories: Histories, row: int) -> RankingQuery:
    """Returns the history of this row, at the time of its newest interaction."""
    entries = slice(histories.indptr[row], histories.indptr[row + 1])
    return RankingQuery(histories.items[entries], float(histories.times[entries].max(initial=0.0)))


def candidates(standards: Floats, history: Ints, depth: int) -> Ints:
    """Returns ascending item positions: the best ``depth`` + L of each component's scores (C, I), for a history of L items."""
    best_items = [best(component_scores, depth + history.size) for component_scores in standards]
    return np.unique(np.concatenate(best_items)).astype(np.int32)
