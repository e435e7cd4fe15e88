"""Ranking metrics: HR@k, NDCG@k, Recall@k, MRR@k, MAP@k, by the rules of published tables.

The rank of an item is 1, plus 1 for every item with a higher score, plus 0.5 for every other item with the same
score. An item that the model does not know has no rank and is a miss. ``docs/evaluation.md`` has the formulas.
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
"""Returns scores of all items (n, I) for rows of users (n,). The caller may overwrite them."""

MISS: Final = math.inf
CELLS: Final = 8_000_000
"""Maximum number of scores in memory at a time."""


class RankedAnswers(NamedTuple):
    """The relevant items of n questions, one after the other: the question of each item, and its rank."""

    question: NDArray[np.intp]
    """(T,) from 0 to n - 1, ascending."""
    rank: Ranks
    """(T,)."""
    questions: int
    """n."""

    def only(self, mask: NDArray[np.bool_]) -> RankedAnswers:
        """Returns only the relevant items of the mask (T,), and the questions that have at least one."""
        question_ids, question = np.unique(self.question[mask], return_inverse=True)
        return RankedAnswers(question, self.rank[mask], int(question_ids.size))


def rank(scores: Scores, targets: NDArray[Any]) -> Ranks:
    """Returns the rank of each target, a position in ``scores``, among all finite scores. MISS if its own is not finite."""
    wanted = scores[targets]
    above = np.array([np.count_nonzero(scores > score) for score in wanted], dtype=np.intp)
    same = np.array([np.count_nonzero(scores == score) for score in wanted], dtype=np.intp) - 1
    return np.where(np.isfinite(wanted), 1 + above + same / 2, MISS)


def rank_among(target: float, others: Scores) -> float:
    """Returns the rank of one score among the scores of the other candidates. MISS if it is not finite."""
    if not math.isfinite(target):
        return MISS
    return 1.0 + np.count_nonzero(others > target) + np.count_nonzero(others == target) / 2


def ranked(ranks_by_question: Iterable[Ranks]) -> RankedAnswers:
    """Joins the ranks of all questions. Every question needs at least one relevant item."""
    rank_arrays = list(ranks_by_question)
    counts = np.array([question_ranks.size for question_ranks in rank_arrays], dtype=np.intp)
    return RankedAnswers(
        np.repeat(np.arange(counts.size), counts), np.concatenate([*rank_arrays, np.empty(0)]), counts.size
    )


def per_question(answers: RankedAnswers, cutoffs: Sequence[int] = (10,)) -> dict[str, NDArray[np.float64]]:
    """Returns each metric at each cutoff for each question, (n,)."""
    counts = np.bincount(answers.question, minlength=answers.questions)
    return {
        f"{name}@{k}": of(answers, counts, k)
        for k in cutoffs
        for name, of in (("HR", _hit), ("NDCG", _ndcg), ("Recall", _recall), ("MRR", _reciprocal), ("MAP", _precision))
    }


def summary(ranks_by_question: Iterable[Ranks], cutoffs: Sequence[int] = (10,)) -> dict[str, float]:
    """Returns the mean over questions of each metric at each cutoff. Empty if there are no questions."""
    answers = ranked(ranks_by_question)
    return means(per_question(answers, cutoffs)) if answers.questions else {}


def means(metrics: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    """Returns the mean of each metric over questions."""
    return {name: float(values.mean()) for name, values in metrics.items()}


def full_ranking(held: HoldOut, scorer: Scorer, cutoffs: Sequence[int] = (10,)) -> dict[str, float]:
    """Ranks the held-out items of every user among all items except those seen in training."""
    return summary(ranks(held, scorer), cutoffs)


def ranks(held: HoldOut, scorer: Scorer) -> Iterator[Ranks]:
    """Yields the ranks of each user's held-out items, users in the order of ``held.rows``."""
    step = max(1, CELLS // max(1, held.seen.shape[1]))
    for start in range(0, held.rows.size, step):
        rows = held.rows[start : start + step]
        scores = scorer(rows)
        for line, row in zip(scores, rows.tolist(), strict=True):
            line[held.seen.indices[held.seen.indptr[row] : held.seen.indptr[row + 1]]] = -np.inf
            yield with_misses(rank(line, held.known[row]), held.unknown.get(row, 0))


def with_misses(ranks: Ranks, unknown: int) -> Ranks:
    """Returns the ranks, and a miss for each relevant item that is not in training."""
    return np.concatenate([ranks, np.full(unknown, MISS)]) if unknown else ranks


def _summed(answers: RankedAnswers, values: NDArray[Any]) -> NDArray[np.float64]:
    weights = values.astype(np.float64)
    return np.bincount(answers.question, weights=weights, minlength=answers.questions).astype(np.float64, copy=False)


def _hit(answers: RankedAnswers, _: NDArray[np.intp], k: int) -> NDArray[np.float64]:
    return (_summed(answers, answers.rank <= k) > 0).astype(np.float64)


def _ndcg(answers: RankedAnswers, counts: NDArray[np.intp], k: int) -> NDArray[np.float64]:
    gain = _summed(answers, np.where(answers.rank <= k, 1 / np.log2(1 + answers.rank), 0.0))
    ideal = np.cumsum(1 / np.log2(1 + np.arange(1, k + 1)))
    # Ties count half, so several relevant items tied for first place could gain more than the ideal order.
    shares: NDArray[np.float64] = np.minimum(1.0, gain / ideal[np.minimum(counts, k) - 1])
    return shares


def _recall(answers: RankedAnswers, counts: NDArray[np.intp], k: int) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = _summed(answers, answers.rank <= k) / counts
    return shares


def _reciprocal(answers: RankedAnswers, _: NDArray[np.intp], k: int) -> NDArray[np.float64]:
    best = np.full(answers.questions, MISS)
    np.minimum.at(best, answers.question, answers.rank)
    return np.where(best <= k, 1 / best, 0.0)


def _precision(answers: RankedAnswers, counts: NDArray[np.intp], k: int) -> NDArray[np.float64]:
    """Average precision: the mean over relevant items of the precision at the rank of each."""
    order = np.lexsort((answers.rank, answers.question))
    question, rank_ = answers.question[order], answers.rank[order]
    first = np.cumsum(counts) - counts
    right = np.arange(question.size) - first[question] + 1
    precision = np.where(rank_ <= k, np.minimum(1.0, right / rank_), 0.0)
    summed = _summed(RankedAnswers(question, rank_, answers.questions), precision)
    averages: NDArray[np.float64] = summed / np.minimum(counts, k)
    return averages
