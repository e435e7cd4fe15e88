"""Drift: how much new events differ from the training data of a version, and whether the version overfits.

Pure functions of counts, scores and lists. The drift job calls them. For each figure beyond its threshold, ``drift``
returns a sentence that says why to train again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.structures.arrays import Doubles

FLOOR: Final = 1e-4
"""Minimum share of a group in an index. Else an empty group would make the index infinite."""
GROUPS: Final = 10
"""Number of groups of a histogram."""


@dataclass(frozen=True, kw_only=True)
class DriftThresholds:
    """Limits of the figures. A stability index of 0.1 is commonly taken for a shift, 0.25 for a large one."""

    items: float = 0.25
    """Maximum population-stability index of the popularity of items."""
    types: float = 0.25
    """Maximum population-stability index of event types."""
    activity: float = 0.25
    """Maximum population-stability index of the number of events per user."""
    overlap: float = 0.3
    """Minimum rank-biased overlap of the lists of two versions."""
    scores: float = 0.5
    """Maximum mean absolute change of scores between two versions, in standard deviations."""
    gap: float = 0.1
    """Maximum growth of the train–validation gap since the version before."""


@dataclass(frozen=True, kw_only=True)
class DriftFigures:
    """The figures, named like their limits in ``DriftThresholds``; None if a figure was not computed."""

    items: float | None = None
    types: float | None = None
    activity: float | None = None
    overlap: float | None = None
    scores: float | None = None
    gap: float | None = None
    gap_before: float | None = None


def drift(observed: DriftFigures, thresholds: DriftThresholds | None = None) -> list[str]:
    """Returns the reasons to train again, a sentence for each figure beyond its threshold."""
    limits = thresholds or DriftThresholds()
    reasons = [
        _above("what people come to has shifted: its stability index", observed.items, limits.items),
        _above("the kinds of events have shifted: their stability index", observed.types, limits.types),
        _above("how much people do has shifted: its stability index", observed.activity, limits.activity),
        _above("scores have drifted: in standard deviations, their mean change", observed.scores, limits.scores),
        _below("lists have drifted: their overlap with the version before's", observed.overlap, limits.overlap),
        _widened(observed.gap, observed.gap_before, limits.gap),
    ]
    return [reason for reason in reasons if reason]


def psi(expected: ArrayLike, actual: ArrayLike) -> float:
    """Returns the population-stability index of two histograms (counts or shares) of the same groups: Σ (a - e) ln(a / e).

    Equal shares give 0. An empty histogram gives 0 too. Siddiqi, "Credit Risk Scorecards", 2006.
    """
    e, a = np.asarray(expected, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    if not (e.sum() > 0 and a.sum() > 0):
        return 0.0
    e, a = np.maximum(e / e.sum(), FLOOR), np.maximum(a / a.sum(), FLOOR)
    return float(((a - e) * np.log(a / e)).sum())


def psi_of_kinds(expected: Mapping[str, float], actual: Mapping[str, float]) -> float:
    """Returns the index of counts by name, such as events by type. A missing name counts 0."""
    names = sorted({*expected, *actual})
    return psi([expected.get(name, 0.0) for name in names], [actual.get(name, 0.0) for name in names])


def psi_of_items(expected: Mapping[str, float], actual: Mapping[str, float], groups: int = GROUPS) -> float:
    """Returns the index of the popularity of items.

    Items are sorted by ``expected``, most popular first, and divided into groups of about equal weight. Items that
    ``expected`` lacks form another group, so that new items count as a shift.
    """
    ranked = sorted(expected, key=lambda item_id: (-expected[item_id], item_id))
    weights = np.array([expected[item_id] for item_id in ranked], dtype=np.float64)
    if not weights.sum() > 0:
        return 0.0
    before = np.cumsum(weights) - weights
    expected_groups = np.minimum((groups * before / weights.sum()).astype(np.intp), groups - 1)
    group_of = dict(zip(ranked, expected_groups.tolist(), strict=True))
    actual_groups = np.array([group_of.get(item_id, groups) for item_id in actual], dtype=np.intp)
    now = np.bincount(actual_groups, weights=np.array(list(actual.values()), dtype=np.float64), minlength=groups + 1)
    return psi(np.append(np.bincount(expected_groups, weights=weights, minlength=groups), 0.0), now)


def psi_of_activity(expected: ArrayLike, actual: ArrayLike) -> float:
    """Returns the index of the number of interactions per user, in groups of 1, 2 to 3, 4 to 7, …, 1,024 and more."""
    return psi(_by_doublings(expected), _by_doublings(actual))


def overlap(first: Sequence[str], second: Sequence[str], persistence: float = 0.9) -> float:
    """Returns the rank-biased overlap of two lists, 0 to 1: the mean agreement over all depths.

    Each depth weighs ``persistence`` times the depth before. The agreement beyond the shorter list is extrapolated. Two
    empty lists agree. Webber, Moffat, Zobel, "A Similarity Measure for Indefinite Rankings", TOIS 2010.
    """
    depth = min(len(first), len(second))
    if not depth:
        return 1.0 if len(first) == len(second) else 0.0
    depths = np.arange(1, depth + 1)
    shared = np.array([len({*first[:d]} & {*second[:d]}) for d in depths.tolist()], dtype=np.float64)
    weighted = float((shared / depths * persistence**depths).sum())
    return float(shared[-1] / depth * persistence**depth + (1 - persistence) / persistence * weighted)


def score_change(old: NDArray[Any], new: NDArray[Any]) -> float:
    """Returns the mean absolute change of scores (n, I) between two versions, after each row is standardized."""
    return float(np.abs(_standardized(old) - _standardized(new)).mean()) if old.size else 0.0


def gap(training: float, validation: float) -> float:
    """Returns the train–validation gap: the share of its training metric that a model loses on held-out interactions.

    It is ``1 - validation / training``, or 0 if the model loses nothing. Algorithms differ in this gap. A gap that widens
    from version to version shows overfitting.
    """
    return max(0.0, 1 - validation / training) if training > 0 else 0.0


def _by_doublings(counts: ArrayLike) -> NDArray[np.intp]:
    positive = np.asarray(counts, dtype=np.float64)
    groups = np.minimum(np.log2(positive[positive >= 1]).astype(np.intp), GROUPS)
    return np.bincount(groups, minlength=GROUPS + 1)


def _standardized(scores: NDArray[Any]) -> Doubles:
    wide = np.atleast_2d(scores).astype(np.float64)
    spread = wide.std(axis=1, keepdims=True)
    spread[spread == 0] = 1
    standardized: Doubles = (wide - wide.mean(axis=1, keepdims=True)) / spread
    return standardized


def _above(what: str, value: float | None, limit: float) -> str | None:
    return f"{what} of {value:.3f} is above {limit:g}" if value is not None and value > limit else None


def _below(what: str, value: float | None, limit: float) -> str | None:
    return f"{what} of {value:.3f} is below {limit:g}" if value is not None and value < limit else None


def _widened(now: float | None, before: float | None, limit: float) -> str | None:
    if now is None or before is None or now <= before + limit:
        return None
    return f"it remembers more than it learns: the train–validation gap widened from {before:.3f} to {now:.3f}"
