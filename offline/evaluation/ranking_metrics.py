"""Ranking metrics: HR@k, NDCG@k, Recall@k, MRR@k, MAP@k, by the rules of published tables.

An item's rank is 1, plus one for every item scored above it, plus half of one for every other item scored
the same. An item that the system does not know has no rank: a miss. ``docs/evaluation.md`` has the formulas.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from offline.data.splits import HoldOut

Scores = NDArray[np.float32]
Ranks = NDArray[np.float64]
Scorer = Callable[[NDArray[np.intp]], Scores]
"""Rows of users (n,) to scores of all items (n, I), which the caller may overwrite."""

MISS: Final = math.inf
CELLS: Final = 8_000_000
"""Scores that are held at a time."""


class RankedAnswers(NamedTuple):
    """Right items of n questions, one after the other: whose question each is, and its rank."""

    question: NDArray[np.intp]
    """(T,) 0 to n - 1, rising."""
    rank: Ranks
    """(T,)."""
    questions: int
    """n."""

    def only(self, kept: NDArray[np.bool_]) -> RankedAnswers:
        """These right items alone (T,), and the questions that have any of them."""
        left, question = np.unique(self.question[kept], return_inverse=True)
        return RankedAnswers(question, self.rank[kept], int(left.size))


def rank(scores: Scores, targets: NDArray[Any]) -> Ranks:
    """The rank of each target (positions in ``scores``) among all scores that are not -inf; MISS where its own is not finite."""
    wanted = scores[targets]
    above = np.array([np.count_nonzero(scores > each) for each in wanted], dtype=np.intp)
    same = np.array([np.count_nonzero(scores == each) for each in wanted], dtype=np.intp) - 1
    return np.where(np.isfinite(wanted), 1 + above + same / 2, MISS)


def rank_among(target: float, others: Scores) -> float:
    """The rank of one score among others, all of them candidates; one that is not finite is below all."""
    if not math.isfinite(target):
        return MISS
    return 1.0 + np.count_nonzero(others > target) + np.count_nonzero(others == target) / 2


def ranked(found: Iterable[Ranks]) -> RankedAnswers:
    """The ranks of each question's right items as one value; every question needs at least one."""
    every = list(found)
    counts = np.array([each.size for each in every], dtype=np.intp)
    return RankedAnswers(np.repeat(np.arange(counts.size), counts), np.concatenate([*every, np.empty(0)]), counts.size)


def per_question(found: RankedAnswers, cutoffs: Sequence[int] = (10,)) -> dict[str, NDArray[np.float64]]:
    """Each metric at each cutoff of each question, (n,)."""
    counts = np.bincount(found.question, minlength=found.questions)
    return {
        f"{name}@{k}": of(found, counts, k)
        for k in cutoffs
        for name, of in (("HR", _hit), ("NDCG", _ndcg), ("Recall", _recall), ("MRR", _reciprocal), ("MAP", _precision))
    }


def summary(found: Iterable[Ranks], cutoffs: Sequence[int] = (10,)) -> dict[str, float]:
    """Means over questions of each metric at each cutoff; nothing where nobody is asked."""
    every = ranked(found)
    return means(per_question(every, cutoffs)) if every.questions else {}


def means(found: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    """The mean of each metric over questions."""
    return {name: float(values.mean()) for name, values in found.items()}


def full_ranking(held: HoldOut, scorer: Scorer, cutoffs: Sequence[int] = (10,)) -> dict[str, float]:
    """Every user's held-out items ranked among all items but those seen in training."""
    return summary(ranks(held, scorer), cutoffs)


def ranks(held: HoldOut, scorer: Scorer) -> Iterator[Ranks]:
    """The ranks of each asked user's held-out items, users in the order of ``held.rows``."""
    step = max(1, CELLS // max(1, held.seen.shape[1]))
    for start in range(0, held.rows.size, step):
        rows = held.rows[start : start + step]
        scores = scorer(rows)
        for line, row in zip(scores, rows.tolist(), strict=True):
            line[held.seen.indices[held.seen.indptr[row] : held.seen.indptr[row + 1]]] = -np.inf
            yield with_misses(rank(line, held.known[row]), held.unknown.get(row, 0))


def with_misses(found: Ranks, unknown: int) -> Ranks:
    """The ranks, and a miss for each right item that training has never met."""
    return np.concatenate([found, np.full(unknown, MISS)]) if unknown else found


def _summed(found: RankedAnswers, values: NDArray[Any]) -> NDArray[np.float64]:
    weights = values.astype(np.float64)
    return np.bincount(found.question, weights=weights, minlength=found.questions).astype(np.float64, copy=False)


def _hit(found: RankedAnswers, _: NDArray[np.intp], k: int) -> NDArray[np.float64]:
    return (_summed(found, found.rank <= k) > 0).astype(np.float64)


def _ndcg(found: RankedAnswers, counts: NDArray[np.intp], k: int) -> NDArray[np.float64]:
    gain = _summed(found, np.where(found.rank <= k, 1 / np.log2(1 + found.rank), 0.0))
    ideal = np.cumsum(1 / np.log2(1 + np.arange(1, k + 1)))
    # Ties count half, so several right items that tie for first place could gain more than the best order does.
    shares: NDArray[np.float64] = np.minimum(1.0, gain / ideal[np.minimum(counts, k) - 1])
    return shares


def _recall(found: RankedAnswers, counts: NDArray[np.intp], k: int) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = _summed(found, found.rank <= k) / counts
    return shares


def _reciprocal(found: RankedAnswers, _: NDArray[np.intp], k: int) -> NDArray[np.float64]:
    best = np.full(found.questions, MISS)
    np.minimum.at(best, found.question, found.rank)
    return np.where(best <= k, 1 / best, 0.0)


def _precision(found: RankedAnswers, counts: NDArray[np.intp], k: int) -> NDArray[np.float64]:
    """Average precision: the share of right items down to each one that is found."""
    order = np.lexsort((found.rank, found.question))
    question, rank_ = found.question[order], found.rank[order]
    first = np.cumsum(counts) - counts
    right = np.arange(question.size) - first[question] + 1
    precision = np.where(rank_ <= k, np.minimum(1.0, right / rank_), 0.0)
    summed = _summed(RankedAnswers(question, rank_, found.questions), precision)
    averages: NDArray[np.float64] = summed / np.minimum(counts, k)
    return averages
