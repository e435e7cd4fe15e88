"""Clusters of users by their factors, and popularity within each.

Lloyd's k-means over the directions of user factors (Dhillon, Modha, "Concept Decompositions for Large Sparse Text
Data Using Clustering", Machine Learning 2001). A new vector belongs to the nearest centroid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.als import Als
from models.structures.arrays import Floats, frozen, pack, unpack
from models.structures.lists import ScoredList
from models.structures.recommender import Histories


@dataclass(frozen=True, eq=False)
class Clusters:
    """``centroids`` (K, d) of length one, ``popularity`` (K, I): summed interaction weights of a cluster's users.

    ``factors`` is an ALS over the same I items, without users. It folds in a history.
    """

    kind: ClassVar[str] = "clusters"

    factors: Als
    centroids: Floats
    popularity: Floats

    def __post_init__(self) -> None:
        count = len(self.centroids)
        object.__setattr__(self, "centroids", frozen(self.centroids, np.float32, (count, self.factors.dimensions)))
        object.__setattr__(self, "popularity", frozen(self.popularity, np.float32, (count, len(self.item_ids))))

    @property
    def item_ids(self) -> tuple[str, ...]:
        """Returns the I item ids, sorted."""
        return self.factors.item_ids

    def index_of(self, item_id: str) -> int | None:
        """Returns the item's position, or None if it is unknown."""
        return self.factors.index_of(item_id)

    def assign(self, vector: Floats) -> int | None:
        """Returns the nearest cluster to a user's factors (d,) by cosine. None for the zero vector, which has no direction."""
        return int(np.argmax(self.centroids @ vector)) if vector.any() else None

    def fold_in(self, weights: Mapping[str, float]) -> int | None:
        """Returns the cluster of a user with these interactions, by item id. None if no item is known."""
        return self.assign(self.factors.fold_in(weights))

    def score(self, cluster: int | None) -> Floats:
        """Returns every item's popularity in a cluster, shape (I,). None: overall popularity."""
        scores: Floats = self.popularity.sum(axis=0) if cluster is None else self.popularity[cluster]
        return scores

    def score_histories(self, histories: Histories) -> Floats:
        """Returns item popularity in each person's cluster, shape (n, I), from the history alone."""
        scores = np.empty((len(histories.user_ids), len(self.item_ids)), dtype=np.float32)
        for row in range(scores.shape[0]):
            scores[row] = self.score(self.fold_in(histories.profile(row, self.item_ids)))
        return scores

    def top(self, cluster: int | None, count: int) -> ScoredList:
        """Returns the most popular items of a cluster, or overall for None. Items without interactions there are dropped."""
        scores = self.score(cluster)
        return ScoredList.best(self.item_ids, np.where(scores > 0, scores, np.float32(-np.inf)), count)

    def save(self) -> bytes:
        """Returns the model as bytes."""
        arrays: dict[str, NDArray[Any]] = {"centroids": self.centroids, "popularity": self.popularity}
        return pack(self.kind, arrays | {"factors": np.frombuffer(self.factors.save(), dtype=np.uint8)})

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Reads the bytes of ``save``. Raises Undecodable."""
        arrays = unpack(cls.kind, data)
        return cls(Als.load(arrays["factors"].tobytes()), arrays["centroids"], arrays["popularity"])
