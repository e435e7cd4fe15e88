"""Parameters of trainings. The defaults were chosen on inner validation slices: see ``docs/tuning.md``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp

from schemas.errors import ConfigurationInvalid

SEED: Final = 20_080_412


@dataclass(frozen=True, kw_only=True)
class AlsParameters:
    """Parameters of both ALS engines. Raises ConfigurationInvalid for an invalid value."""

    factors: int = 64
    """d."""
    strength: float = 0.14
    """Regularization, independent of the size of the data. Each engine derives its own λ from it."""
    alpha: float = 4.0
    """The confidence of an interaction of mean weight is 1 + alpha."""
    iterations: int = 15
    seed: int = SEED

    def __post_init__(self) -> None:
        if not (self.factors > 0 and self.iterations > 0 and self.strength > 0 and self.alpha > 0):
            raise ConfigurationInvalid("factors, iterations, strength and alpha of ALS must be above 0")

    def alpha_of(self, matrix: sp.csr_matrix) -> float:
        """Returns ``alpha`` divided by the mean weight of this matrix, so that the unit of weights does not matter."""
        return self.alpha / float(np.mean(matrix.data, dtype=np.float64))


@dataclass(frozen=True, kw_only=True)
class IalsParameters:
    """Parameters of iALS. Raises ConfigurationInvalid for an invalid value."""

    factors: int = 64
    """d."""
    strength: float = 0.006
    """λ of one interaction."""
    unobserved: float = 15.0
    """Weight of all pairs together, relative to 1 for all interactions: α₀ = unobserved · density of the matrix."""
    spread: float = 0.1
    """σ: initial factors are normally distributed with σ/√d."""
    iterations: int = 12
    warm_iterations: int = 3
    """Iterations of a training that continues from an earlier version."""
    seed: int = SEED

    def __post_init__(self) -> None:
        if not (
            min(self.factors, self.iterations, self.warm_iterations) > 0 and self.strength > 0 and self.unobserved > 0
        ):
            raise ConfigurationInvalid("factors, iterations, strength and unobserved of iALS must be above 0")

    def pair_weight(self, matrix: sp.csr_matrix) -> float:
        """Returns α₀ for this matrix, so that the size and density of the data do not matter."""
        users, items = matrix.shape
        return self.unobserved * int(matrix.nnz) / int(users * items)


@dataclass(frozen=True, kw_only=True)
class NeighbourParameters:
    """Parameters of item neighbours. Raises ConfigurationInvalid for an invalid value."""

    width: int = 64
    """Number of neighbours for each item."""
    shrinkage: float = 10.0
    """Added to the denominator of the cosine, so that a similarity of few people counts less."""
    weighting: str = "cosine"
    """``cosine``, ``tfidf`` or ``bm25``."""
    k1: float = 1.2
    """BM25: influence of the item's length. 0: none."""
    b: float = 0.75
    """BM25: length normalization, from 0 (none) to 1 (full)."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.shrinkage < 0:
            raise ConfigurationInvalid("width of neighbours must be above 0 and shrinkage not below")
        if self.weighting not in ("cosine", "tfidf", "bm25"):
            raise ConfigurationInvalid(f"weighting is cosine, tfidf or bm25, not '{self.weighting}'")
        if self.k1 < 0 or not 0 <= self.b <= 1:
            raise ConfigurationInvalid("k1 of BM25 must not be below 0 and b must be from 0 to 1")
