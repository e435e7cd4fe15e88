"""How sure a figure is: bootstrap intervals, and paired tests between algorithms that were asked the same.

People are resampled, not questions, so that a person's several questions stay together (a cluster bootstrap; Efron
and Tibshirani, "An Introduction to the Bootstrap", 1993). All draws are seeded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

DRAWS: Final = 1_000
LEVEL: Final = 0.95


class Difference(msgspec.Struct, frozen=True):
    """How much better ``name`` is than ``other`` on one metric, asked the same questions."""

    name: str
    other: str
    metric: str
    difference: float
    low: float
    high: float
    p: float
    """Of a paired permutation test, Holm-adjusted for how many pairs were compared."""


class _Clusters(NamedTuple):
    """Sums (G, M) of each person's values and how many there are (G,)."""

    sums: Doubles
    sizes: Doubles


def intervals(
    values: Mapping[str, Doubles], people: NDArray[np.intp], draws: int = DRAWS, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """The percentile interval of each metric's mean over questions; ``people`` (n,) says whose question each is."""
    names = list(values)
    clusters = _clusters(np.column_stack([values[name] for name in names]), people)
    found = _resampled(clusters, draws, seed)
    bounds = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return {name: (float(low), float(high)) for name, low, high in zip(names, *bounds.tolist(), strict=True)}


def differences(
    metric: str, values: Mapping[str, Doubles], people: NDArray[np.intp], draws: int = DRAWS, seed: int = 0
) -> list[Difference]:
    """The best algorithm against each other one; ``values`` are per question, by algorithm."""
    if len(values) < 2:
        return []
    best = max(values, key=lambda name: float(values[name].mean()))
    others = [name for name in values if name != best]
    compared = [_compared(values[best] - values[other], people, draws, seed) for other in others]
    adjusted = holm([each[3] for each in compared])
    return [
        Difference(best, other, metric, mean, low, high, p)
        for other, (mean, low, high, _), p in zip(others, compared, adjusted, strict=True)
    ]


def holm(chances: Sequence[float]) -> list[float]:
    """P-values adjusted for how many there are; Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979."""
    order = np.argsort(chances, kind="stable")
    steps = np.array([(len(chances) - place) * chances[number] for place, number in enumerate(order.tolist())])
    adjusted = np.empty(len(chances))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    found: list[float] = adjusted.tolist()
    return found


def _compared(
    difference: Doubles, people: NDArray[np.intp], draws: int, seed: int
) -> tuple[float, float, float, float]:
    """Mean difference, its interval, and the chance of one as large if signs were random (a sign-flip permutation)."""
    clusters = _clusters(difference[:, None], people)
    low, high = np.quantile(_resampled(clusters, draws, seed)[:, 0], [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    sums = clusters.sums[:, 0]
    random = np.random.default_rng(seed)
    flipped = np.array([abs(float(_signs(random, sums.size) @ sums)) for _ in range(draws)])
    # What differs in its last bit only is as large: sums depend on their order.
    as_large = int((flipped >= abs(float(sums.sum())) * (1 - 1e-12)).sum())
    return float(difference.mean()), low, high, (1 + as_large) / (1 + draws)


def _signs(random: np.random.Generator, size: int) -> Doubles:
    return np.where(random.integers(0, 2, size), 1.0, -1.0)


def _clusters(values: Doubles, people: NDArray[np.intp]) -> _Clusters:
    _, person = np.unique(people, return_inverse=True)
    sums = [np.bincount(person, weights=column) for column in values.T]
    return _Clusters(np.column_stack(sums), np.bincount(person).astype(np.float64))


def _resampled(clusters: _Clusters, draws: int, seed: int) -> Doubles:
    """Means of as many people drawn with replacement, (draws, M)."""
    random = np.random.default_rng(seed)
    count = clusters.sizes.size
    found = np.empty((draws, clusters.sums.shape[1]))
    for draw in range(draws):
        times = np.bincount(random.integers(0, count, count), minlength=count)
        found[draw] = times @ clusters.sums / (times @ clusters.sizes)
    return found
