"""Whether what a version was trained on is still what happens, and whether it learned or only remembered.

Pure functions of counts, scores and lists. The training job and the schedule look at them, and each crossing of a
threshold is a sentence that says why to train again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.structures.arrays import Doubles

FLOOR: Final = 1e-4
"""The least share of a group in an index, so that an empty one does not make it infinite."""
GROUPS: Final = 10


@dataclass(frozen=True, kw_only=True)
class DriftThresholds:
    """What is too much. A stability index of 0.1 is commonly read as a shift, 0.25 as a large one."""

    items: float = 0.25
    """Population-stability index of what people come to."""
    types: float = 0.25
    """Of what kinds of events there are."""
    activity: float = 0.25
    """Of how much people do."""
    overlap: float = 0.3
    """Least rank-biased overlap of two versions' lists."""
    scores: float = 0.5
    """Mean absolute change of scores between two versions, in standard deviations."""
    gap: float = 0.1
    """How much wider than the version before's a train–validation gap may be."""


@dataclass(frozen=True, kw_only=True)
class DriftFigures:
    """What was measured; None where it was not."""

    items: float | None = None
    types: float | None = None
    activity: float | None = None
    overlap: float | None = None
    scores: float | None = None
    gap: float | None = None
    gap_before: float | None = None


def drift(observed: DriftFigures, thresholds: DriftThresholds | None = None) -> list[str]:
    """Why to train again, one sentence a reason; none where nothing has crossed its threshold."""
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
    """The population-stability index of two histograms (counts or shares) over the same groups: Σ (a - e) ln(a / e).

    0 where both are alike; see Siddiqi, "Credit Risk Scorecards", 2006. 0 also where either is empty: nothing is known.
    """
    e, a = np.asarray(expected, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    if not (e.sum() > 0 and a.sum() > 0):
        return 0.0
    e, a = np.maximum(e / e.sum(), FLOOR), np.maximum(a / a.sum(), FLOOR)
    return float(((a - e) * np.log(a / e)).sum())


def psi_of_kinds(expected: Mapping[str, float], actual: Mapping[str, float]) -> float:
    """The index of counts by name, such as events by type; a name that only one side has counts 0 on the other."""
    names = sorted({*expected, *actual})
    return psi([expected.get(name, 0.0) for name in names], [actual.get(name, 0.0) for name in names])


def psi_of_items(expected: Mapping[str, float], actual: Mapping[str, float], groups: int = GROUPS) -> float:
    """The index of items' popularity: items in groups of about equal weight by ``expected``, most popular first.

    What ``expected`` does not know is a group of its own, so that new items count as a shift.
    """
    ranked = sorted(expected, key=lambda item_id: (-expected[item_id], item_id))
    weights = np.array([expected[item_id] for item_id in ranked], dtype=np.float64)
    if not weights.sum() > 0:
        return 0.0
    before = np.cumsum(weights) - weights
    places = np.minimum((groups * before / weights.sum()).astype(np.intp), groups - 1)
    group = dict(zip(ranked, places.tolist(), strict=True))
    found = np.array([group.get(item_id, groups) for item_id in actual], dtype=np.intp)
    now = np.bincount(found, weights=np.array(list(actual.values()), dtype=np.float64), minlength=groups + 1)
    return psi(np.append(np.bincount(places, weights=weights, minlength=groups), 0.0), now)


def psi_of_activity(expected: ArrayLike, actual: ArrayLike) -> float:
    """The index of how many interactions people have: 1, 2 to 3, 4 to 7 and so on, 1,024 and more together."""
    return psi(_by_doublings(expected), _by_doublings(actual))


def overlap(one: Sequence[str], other: Sequence[str], persistence: float = 0.9) -> float:
    """Rank-biased overlap of two lists, 0 to 1: agreement at each depth, deeper ones weigh less by ``persistence``.

    Extrapolated from the depth of the shorter list; Webber, Moffat, Zobel, "A Similarity Measure for Indefinite
    Rankings", TOIS 2010. Two empty lists agree.
    """
    depth = min(len(one), len(other))
    if not depth:
        return 1.0 if len(one) == len(other) else 0.0
    depths = np.arange(1, depth + 1)
    shared = np.array([len({*one[:d]} & {*other[:d]}) for d in depths.tolist()], dtype=np.float64)
    weighted = float((shared / depths * persistence**depths).sum())
    return float(shared[-1] / depth * persistence**depth + (1 - persistence) / persistence * weighted)


def score_change(old: NDArray[Any], new: NDArray[Any]) -> float:
    """Mean absolute change of the same scores (n, I) between two versions, each person's standardized beforehand."""
    return float(np.abs(_standardized(old) - _standardized(new)).mean()) if old.size else 0.0


def gap(training: float, validation: float) -> float:
    """Which share of its quality on what it has learned a model loses on what it has not: 1 - validation / training.

    0 where it loses none. Models differ in it by their kind; what tells is that it widens from version to version.
    """
    return max(0.0, 1 - validation / training) if training > 0 else 0.0


def _by_doublings(counts: ArrayLike) -> NDArray[np.intp]:
    positive = np.asarray(counts, dtype=np.float64)
    places = np.minimum(np.log2(positive[positive >= 1]).astype(np.intp), GROUPS)
    return np.bincount(places, minlength=GROUPS + 1)


def _standardized(scores: NDArray[Any]) -> Doubles:
    wide = np.atleast_2d(scores).astype(np.float64)
    spread = wide.std(axis=1, keepdims=True)
    spread[spread == 0] = 1
    standardized: Doubles = (wide - wide.mean(axis=1, keepdims=True)) / spread
    return standardized


def _above(what: str, found: float | None, limit: float) -> str | None:
    return f"{what} of {found:.3f} is above {limit:g}" if found is not None and found > limit else None


def _below(what: str, found: float | None, limit: float) -> str | None:
    return f"{what} of {found:.3f} is below {limit:g}" if found is not None and found < limit else None


def _widened(found: float | None, before: float | None, limit: float) -> str | None:
    if found is None or before is None or found <= before + limit:
        return None
    return f"it remembers more than it learns: the train–validation gap widened from {before:.3f} to {found:.3f}"
