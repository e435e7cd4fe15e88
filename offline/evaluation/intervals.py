"""Uncertainty of figures: bootstrap intervals, and paired tests between algorithms on the same questions.

People are resampled, not questions, so that all questions of a person stay together (a cluster bootstrap; Efron
and Tibshirani, "An Introduction to the Bootstrap", 1993). All draws are seeded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Doubles

DRAWS: Final = 1_000
LEVEL: Final = 0.95


class Difference(msgspec.Struct, frozen=True):
    """The difference of one metric between the algorithms ``name`` and ``other``, over the same questions."""

    name: str
    other: str
    metric: str
    difference: float
    low: float
    high: float
    p: float
    """P-value of a paired permutation test, Holm-adjusted for the number of comparisons."""


class _PeopleSums(NamedTuple):
    """For each of G people, the sums of their values (G, M) and the number of their questions (G,)."""

    sums: Doubles
    sizes: Doubles


def intervals(
    values: Mapping[str, Doubles], people: NDArray[np.intp], draws: int = DRAWS, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Returns the percentile interval of each metric's mean over questions. ``people`` (n,) is the person of each question."""
    names = list(values)
    clusters = _clusters(np.column_stack([values[name] for name in names]), people)
    means = _resampled(clusters, draws, seed)
    bounds = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return {name: (float(low), float(high)) for name, low, high in zip(names, *bounds.tolist(), strict=True)}


def differences(
    metric: str, values: Mapping[str, Doubles], people: NDArray[np.intp], draws: int = DRAWS, seed: int = 0
) -> list[Difference]:
    """Compares the best algorithm with each other one. ``values`` are per question, by algorithm."""
    if len(values) < 2:
        return []
    best = max(values, key=lambda name: float(values[name].mean()))
    others = [name for name in values if name != best]
    compared = [_compared(values[best] - values[other], people, draws, seed) for other in others]
    adjusted = holm([comparison[3] for comparison in compared])
    return [
        Difference(best, other, metric, mean, low, high, p)
        for other, (mean, low, high, _), p in zip(others, compared, adjusted, strict=True)
    ]


def holm(chances: Sequence[float]) -> list[float]:
    """Returns p-values adjusted for multiple tests. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979."""
    order = np.argsort(chances, kind="stable")
    steps = np.array([(len(chances) - step) * chances[number] for step, number in enumerate(order.tolist())])
    adjusted = np.empty(len(chances))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    p_values: list[float] = adjusted.tolist()
    return p_values


def _compared(
    difference: Doubles, people: NDArray[np.intp], draws: int, seed: int
) -> tuple[float, float, float, float]:
    """Returns the mean difference, its interval, and its p-value by a sign-flip permutation test."""
    clusters = _clusters(difference[:, None], people)
    low, high = np.quantile(_resampled(clusters, draws, seed)[:, 0], [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    sums = clusters.sums[:, 0]
    random = np.random.default_rng(seed)
    flipped = np.array([abs(float(_signs(random, sums.size) @ sums)) for _ in range(draws)])
    # Sums depend on their order, so a difference in the last bit counts as equal.
    as_large = int((flipped >= abs(float(sums.sum())) * (1 - 1e-12)).sum())
    return float(difference.mean()), low, high, (1 + as_large) / (1 + draws)


def _signs(random: np.random.Generator, size: int) -> Doubles:
    return np.where(random.integers(0, 2, size), 1.0, -1.0)


def _clusters(values: Doubles, people: NDArray[np.intp]) -> _PeopleSums:
    _, person = np.unique(people, return_inverse=True)
    sums = [np.bincount(person, weights=column) for column in values.T]
    return _PeopleSums(np.column_stack(sums), np.bincount(person).astype(np.float64))


def _resampled(clusters: _PeopleSums, draws: int, seed: int) -> Doubles:
    """Returns the means (draws, M) over as many people, drawn with replacement."""
    random = np.random.default_rng(seed)
    count = clusters.sizes.size
    means = np.empty((draws, clusters.sums.shape[1]))
    for draw in range(draws):
        times = np.bincount(random.integers(0, count, count), minlength=count)
        means[draw] = times @ clusters.sums / (times @ clusters.sizes)
    return means
