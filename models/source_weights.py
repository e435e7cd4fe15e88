"""How much each source of candidates counts in the blend, by how much a person has done so far.

A source says a score from 0 to 1 of each of its candidates; it adds ``linear · score + root · √score``, so that its
scale is learned with its weight. Learned by ``offline/training/source_weights.py`` from what people went on to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import numpy as np

from models.arrays import Floats, Ints, frozen, pack, pack_ids, unpack, unpack_ids


class Weight(NamedTuple):
    """What a source's scores are multiplied by, and what their square roots are; none below 0."""

    linear: float
    root: float = 0.0


@dataclass(frozen=True, eq=False)
class SourceWeights:
    """Weights of S sources in B segments: segment b holds people with ``edges[b - 1]`` interactions or more.

    ``edges`` (B - 1,) int32 rising, ``linear`` and ``root`` (B, S) float32.
    """

    kind: ClassVar[str] = "source-weights"

    sources: tuple[str, ...]
    edges: Ints
    linear: Floats
    root: Floats
    revisits: bool = False
    """Whether people of this site often go back to what they saw in the same session, so that it may be shown again."""

    def __post_init__(self) -> None:
        shape = (len(self.edges) + 1, len(self.sources))
        object.__setattr__(self, "edges", frozen(self.edges, np.int32, (len(self.edges),)))
        object.__setattr__(self, "linear", frozen(self.linear, np.float32, shape))
        object.__setattr__(self, "root", frozen(self.root, np.float32, shape))

    def segment(self, interactions: int) -> int:
        """The segment of somebody with so many interactions."""
        return int(np.searchsorted(self.edges, interactions, side="right"))

    def of(self, interactions: int) -> Mapping[str, Weight]:
        """The weights for somebody with so many interactions, by source."""
        at = self.segment(interactions)
        pairs = zip(self.linear[at].tolist(), self.root[at].tolist(), strict=True)
        return {name: Weight(*pair) for name, pair in zip(self.sources, pairs, strict=True)}

    def save(self) -> bytes:
        """The weights as bytes."""
        arrays = {"edges": self.edges, "linear": self.linear, "root": self.root, "revisits": np.array([self.revisits])}
        return pack(self.kind, arrays | pack_ids("sources", self.sources))

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Read what ``save`` wrote; raises Undecodable."""
        arrays = unpack(cls.kind, data)
        return cls(
            unpack_ids("sources", arrays),
            arrays["edges"],
            arrays["linear"],
            arrays["root"],
            bool(arrays["revisits"][0]),
        )
