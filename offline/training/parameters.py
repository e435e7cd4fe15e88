"""What trainings are asked with. The defaults were chosen on inner validation slices: see ``docs/tuning.md``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp

from schemas.errors import ConfigurationInvalid

SEED: Final = 20_080_412


@dataclass(frozen=True, kw_only=True)
class AlsParameters:
    """Of either ALS; raises ConfigurationInvalid where a value cannot work."""

    factors: int = 64
    """d."""
    strength: float = 0.14
    """Of the regularization, whatever the size of the data; each engine makes its own λ of it."""
    alpha: float = 4.0
    """How much more an interaction of mean weight counts than none: its confidence is 1 + alpha."""
    iterations: int = 15
    seed: int = SEED

    def __post_init__(self) -> None:
        if not (self.factors > 0 and self.iterations > 0 and self.strength > 0 and self.alpha > 0):
            raise ConfigurationInvalid("factors, iterations, strength and alpha of ALS must be above 0")

    def alpha_of(self, matrix: sp.csr_matrix) -> float:
        """``alpha`` for this matrix's own unit of weight, so that the unit does not matter."""
        return self.alpha / float(np.mean(matrix.data, dtype=np.float64))


@dataclass(frozen=True, kw_only=True)
class IalsParameters:
    """Of iALS; raises ConfigurationInvalid where a value cannot work."""

    factors: int = 64
    """d."""
    strength: float = 0.006
    """λ of one interaction."""
    unobserved: float = 15.0
    """What all pairs count together, next to 1 for all interactions: α₀ = unobserved · density of the matrix."""
    spread: float = 0.1
    """σ: factors begin normally distributed with σ/√d."""
    iterations: int = 12
    warm_iterations: int = 3
    """Where training goes on from an earlier version."""
    seed: int = SEED

    def __post_init__(self) -> None:
        if not (
            min(self.factors, self.iterations, self.warm_iterations) > 0 and self.strength > 0 and self.unobserved > 0
        ):
            raise ConfigurationInvalid("factors, iterations, strength and unobserved of iALS must be above 0")

    def pair_weight(self, matrix: sp.csr_matrix) -> float:
        """α₀ for this matrix, so that the size and density of the data do not matter."""
        users, items = matrix.shape
        return self.unobserved * int(matrix.nnz) / int(users * items)


@dataclass(frozen=True, kw_only=True)
class NeighbourParameters:
    """Of item neighbours; raises ConfigurationInvalid where a value cannot work."""

    width: int = 64
    """Neighbours kept an item."""
    shrinkage: float = 10.0
    """Added under the cosine's fraction: similarity seen in few people counts less."""
    weighting: str = "cosine"
    """``cosine``, ``tfidf`` or ``bm25``."""
    k1: float = 1.2
    """Of BM25: how much of an item's length matters; at 0 none of it."""
    b: float = 0.75
    """Of BM25: from 0, an item's people count alike however many they are, to 1."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.shrinkage < 0:
            raise ConfigurationInvalid("width of neighbours must be above 0 and shrinkage not below")
        if self.weighting not in ("cosine", "tfidf", "bm25"):
            raise ConfigurationInvalid(f"weighting is cosine, tfidf or bm25, not '{self.weighting}'")
        if self.k1 < 0 or not 0 <= self.b <= 1:
            raise ConfigurationInvalid("k1 of BM25 must not be below 0 and b must be from 0 to 1")
