"""Source weights: the weights of candidate sources in the blend, by the number of a user's interactions.

A source gives each of its candidates a score from 0 to 1. Its contribution to the blend is a weighted sum of four curves
over this score. So a learned contribution is a monotone function of the score (a generalised additive model, Hastie and
Tibshirani 1986). ``offline/training/blending/source_weights.py`` learns the weights from the items that users chose.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any, ClassVar, Final, NamedTuple, Self

import numpy as np

from models.structures.arrays import Floats, Ints, frozen, pack, pack_ids, unpack, unpack_ids
from schemas.errors import Undecodable


class Revisits(IntEnum):
    """The items of the current session that may be recommended again."""

    NONE = 0
    EARLIER = 1
    """All except the current item of the session."""
    ALL = 2


class SourceWeight(NamedTuple):
    """The weight of one source: a factor for each curve over its scores, not negative."""

    linear: float
    root: float = 0.0
    logarithm: float = 0.0
    cube: float = 0.0


CURVES: Final = len(SourceWeight._fields)
FORMER_SOURCES: Final = {
    "again": "revisits",
    "next": "covisitation",
    "together": "bought_together",
    "people": "user_knn",
    "list": "precomputed",
    "text": "content",
    "trending_here": "trending_in_context",
    "session": "session_knn",
}
"""Names of candidate sources before version 0.2: stored versions hold them."""
_STEEPNESS: Final = np.float32(1_000.0)
"""The logarithm barely separates scores below one thousandth."""


def curves(scores: Floats) -> Floats:
    """Returns the curves, from 0 to 1, over scores from 0 to 1, in the order of ``SourceWeight``: shape (CURVES, ...)."""
    values: Floats = np.empty((CURVES, *scores.shape), np.float32)
    values[0] = scores
    np.sqrt(scores, out=values[1])
    # Not log1p, which NumPy does not vectorize.
    np.log(scores * _STEEPNESS + np.float32(1.0), out=values[2])
    values[2] /= np.log(_STEEPNESS + 1)
    np.multiply(scores * scores, scores, out=values[3])
    return values


@dataclass(frozen=True, eq=False)
class SourceWeights:
    """Weights of S sources in B segments: segment b holds users with at least ``edges[b - 1]`` interactions.

    ``edges`` (B - 1,) int32 ascending, ``weights`` (B, S, CURVES) float32.
    """

    kind: ClassVar[str] = "source-weights"

    sources: tuple[str, ...]
    edges: Ints
    weights: Floats
    revisits: Revisits = Revisits.NONE
    """Items of a session that users of this site often revisit."""

    def __post_init__(self) -> None:
        shape = (len(self.edges) + 1, len(self.sources), CURVES)
        object.__setattr__(self, "edges", frozen(self.edges, np.int32, (len(self.edges),)))
        object.__setattr__(self, "weights", frozen(self.weights, np.float32, shape))

    @classmethod
    def unlearned(cls, revisits: Revisits) -> Self:
        """Returns a value without sources, so that the configured weights stay."""
        return cls((), np.empty(0, np.int32), np.empty((1, 0, CURVES), np.float32), revisits)

    def segment(self, interactions: int) -> int:
        """Returns the segment of a user with this number of interactions."""
        return bisect_right(self._edges, interactions)

    def of(self, interactions: int) -> Mapping[str, SourceWeight]:
        """Returns the weights by source for a user with this number of interactions."""
        return self._by_segment[self.segment(interactions)]

    @cached_property
    def _edges(self) -> list[int]:
        edges: list[int] = self.edges.tolist()
        return edges

    @cached_property
    def _by_segment(self) -> tuple[Mapping[str, SourceWeight], ...]:
        return tuple(
            {name: SourceWeight(*weight) for name, weight in zip(self.sources, segment_weights, strict=True)}
            for segment_weights in self.weights.tolist()
        )

    def save(self) -> bytes:
        """Returns the weights as bytes."""
        arrays: dict[str, Any] = {"edges": self.edges, "curves": self.weights, "revisits": np.array([self.revisits])}
        return pack(self.kind, arrays | pack_ids("sources", self.sources))

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Reads the bytes of ``save``. Raises Undecodable."""
        arrays = unpack(cls.kind, data)
        if "curves" not in arrays:
            raise Undecodable("its weights of sources are of an earlier release: train anew")
        sources = unpack_ids("sources", arrays)
        return cls(
            tuple(FORMER_SOURCES.get(name, name) for name in sources),
            arrays["edges"],
            arrays["curves"],
            Revisits(int(arrays["revisits"][0])),
        )
