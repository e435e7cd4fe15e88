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
class NeighbourParameters:
    """Of item neighbours; raises ConfigurationInvalid where a value cannot work."""

    width: int = 64
    """Neighbours kept an item."""
    shrinkage: float = 10.0
    """Added under the cosine's fraction: similarity seen in few people counts less."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.shrinkage < 0:
            raise ConfigurationInvalid("width of neighbours must be above 0 and shrinkage not below")
