"""Ranking metrics: HR@k, NDCG@k, Recall@k, MRR@k, by the rules of published tables.

An item's rank is 1, plus one for every item scored above it, plus half of one for every other item scored
the same. An item that the system does not know has no rank: a miss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from offline.splits import HoldOut

Scores = NDArray[np.float32]
Ranks = NDArray[np.float64]
Scorer = Callable[[NDArray[np.intp]], Scores]
"""Rows of users (n,) to scores of all items (n, I), which the caller may overwrite."""

MISS: Final = math.inf
_CELLS: Final = 8_000_000


def rank(scores: Scores, targets: NDArray[Any]) -> Ranks:
    """The rank of each target (positions in ``scores``) among all scores that are not -inf; MISS where its own is not finite."""
    wanted = scores[targets][:, None]
    above = (scores[None, :] > wanted).sum(axis=1)
    same = (scores[None, :] == wanted).sum(axis=1) - 1
    return np.where(np.isfinite(wanted[:, 0]), 1 + above + same / 2, MISS)


def rank_among(target: float, others: Scores) -> float:
    """The rank of one score among others, all of them candidates; one that is not finite is below all."""
    if not math.isfinite(target):
        return MISS
    return 1.0 + float((others > target).sum()) + float((others == target).sum()) / 2


def summary(found: Iterable[Ranks], cutoffs: Sequence[int] = (10,)) -> dict[str, float]:
    """Means over users of each metric at each cutoff; ``found`` has the ranks of a user's relevant items, at least one."""
    every = list(found)
    if not every:
        return {}
    metrics = {}
    for k in cutoffs:
        for name, of in (("HR", _hit), ("NDCG", _ndcg), ("Recall", _recall), ("MRR", _reciprocal)):
            metrics[f"{name}@{k}"] = float(np.mean([of(each, k) for each in every]))
    return metrics


def full_ranking(held: HoldOut, scorer: Scorer, cutoffs: Sequence[int] = (10,)) -> dict[str, float]:
    """Every user's held-out items ranked among all items but those seen in training."""
    return summary(ranks(held, scorer), cutoffs)


def ranks(held: HoldOut, scorer: Scorer) -> Iterator[Ranks]:
    """The ranks of each asked user's held-out items, users in the order of ``held.rows``."""
    step = max(1, _CELLS // max(1, held.seen.shape[1]))
    for start in range(0, held.rows.size, step):
        rows = held.rows[start : start + step]
        scores = scorer(rows)
        for line, row in zip(scores, rows.tolist(), strict=True):
            line[held.seen.indices[held.seen.indptr[row] : held.seen.indptr[row + 1]]] = -np.inf
            yield _with_misses(rank(line, held.known[row]), held.unknown.get(row, 0))


def _with_misses(ranks: Ranks, unknown: int) -> Ranks:
    return np.concatenate([ranks, np.full(unknown, MISS)]) if unknown else ranks


def _hit(ranks: Ranks, k: int) -> float:
    return float(ranks.min() <= k)


def _ndcg(ranks: Ranks, k: int) -> float:
    gain = float((1 / np.log2(1 + ranks[ranks <= k])).sum())
    ideal = float((1 / np.log2(1 + np.arange(1, min(k, ranks.size) + 1))).sum())
    return min(1.0, gain / ideal)


def _recall(ranks: Ranks, k: int) -> float:
    return float((ranks <= k).mean())


def _reciprocal(ranks: Ranks, k: int) -> float:
    best = float(ranks.min())
    return 1 / best if best <= k else 0.0
