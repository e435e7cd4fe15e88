"""How much each source of candidates counts in the blend, by how much a person has done so far.

A source says a score from 0 to 1 of each of its candidates; it adds a weighted sum of four curves over the score, so
that the way from score to strength is learned with the weight: it never falls (a generalised additive model, Hastie
and Tibshirani 1986). Learned by ``offline/training/blending/source_weights.py`` from what people went on to.
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
    """Which of a session's own items are shown again."""

    NONE = 0
    EARLIER = 1
    """All but the one that the session is at."""
    ALL = 2


class Weight(NamedTuple):
    """What the curves over a source's scores are multiplied by; none below 0."""

    linear: float
    root: float = 0.0
    logarithm: float = 0.0
    cube: float = 0.0


CURVES: Final = len(Weight._fields)
_STEEPNESS: Final = np.float32(1_000.0)
"""Scores of a thousandth and less are all but the same to the logarithm."""


def curves(scores: Floats) -> Floats:
    """Curves from 0 to 1 over scores from 0 to 1, in the order of a ``Weight``: shape (CURVES, ...)."""
    found: Floats = np.empty((CURVES, *scores.shape), np.float32)
    found[0] = scores
    np.sqrt(scores, out=found[1])
    # Not log1p, which NumPy computes one by one.
    np.log(scores * _STEEPNESS + np.float32(1.0), out=found[2])
    found[2] /= np.log(_STEEPNESS + 1)
    np.multiply(scores * scores, scores, out=found[3])
    return found


@dataclass(frozen=True, eq=False)
class SourceWeights:
    """Weights of S sources in B segments: segment b holds people with ``edges[b - 1]`` interactions or more.

    ``edges`` (B - 1,) int32 rising, ``weights`` (B, S, CURVES) float32.
    """

    kind: ClassVar[str] = "source-weights"

    sources: tuple[str, ...]
    edges: Ints
    weights: Floats
    revisits: Revisits = Revisits.NONE
    """What of a session people of this site often turn to once more, so that it may be shown again."""

    def __post_init__(self) -> None:
        shape = (len(self.edges) + 1, len(self.sources), CURVES)
        object.__setattr__(self, "edges", frozen(self.edges, np.int32, (len(self.edges),)))
        object.__setattr__(self, "weights", frozen(self.weights, np.float32, shape))

    @classmethod
    def unlearned(cls, revisits: Revisits) -> Self:
        """Of no source: what is configured holds."""
        return cls((), np.empty(0, np.int32), np.empty((1, 0, CURVES), np.float32), revisits)

    def segment(self, interactions: int) -> int:
        """The segment of somebody with so many interactions."""
        return bisect_right(self._edges, interactions)

    def of(self, interactions: int) -> Mapping[str, Weight]:
        """The weights for somebody with so many interactions, by source."""
        return self._by_segment[self.segment(interactions)]

    @cached_property
    def _edges(self) -> list[int]:
        edges: list[int] = self.edges.tolist()
        return edges

    @cached_property
    def _by_segment(self) -> tuple[Mapping[str, Weight], ...]:
        return tuple(
            {name: Weight(*each) for name, each in zip(self.sources, found, strict=True)}
            for found in self.weights.tolist()
        )

    def save(self) -> bytes:
        """The weights as bytes."""
        arrays: dict[str, Any] = {"edges": self.edges, "curves": self.weights, "revisits": np.array([self.revisits])}
        return pack(self.kind, arrays | pack_ids("sources", self.sources))

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Read what ``save`` wrote; raises Undecodable."""
        arrays = unpack(cls.kind, data)
        if "curves" not in arrays:
            raise Undecodable("its weights of sources are of an earlier release: train anew")
        return cls(
            unpack_ids("sources", arrays),
            arrays["edges"],
            arrays["curves"],
            Revisits(int(arrays["revisits"][0])),
        )
