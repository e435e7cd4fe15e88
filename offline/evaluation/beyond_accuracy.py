"""What lists are like beyond being right: coverage, novelty, diversity, bias to what is popular, calibration.

Formulas and sources are in ``docs/evaluation.md``. Lists are positions (n, k) of items, -1 where there are no more.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from offline.data.dataset import Interactions

Doubles = NDArray[np.float64]
Tops = NDArray[np.intp]

SMOOTHING: Final = 0.01
"""Steck's α: how much of a person's own distribution is mixed into the list's, so that the divergence is finite."""
_BLOCK: Final = 2_000


def of_lists(tops: Tops, training: Interactions, k: int) -> dict[str, float]:
    """``coverage``, ``gini``, ``novelty`` and ``popularity`` at k."""
    lists = tops[:, :k]
    shown = np.bincount(lists[lists >= 0], minlength=len(training.item_ids))
    known = np.bincount(training.matrix.indices, minlength=len(training.item_ids)) / len(training.user_ids)
    information = -np.log2(np.maximum(known, 1 / len(training.user_ids)))
    return {
        f"coverage@{k}": float((shown > 0).mean()),
        f"gini@{k}": gini(shown),
        f"novelty@{k}": float(np.nanmean(_mean_of(lists, information))),
        f"popularity@{k}": float(np.nanmean(_mean_of(lists, known))),
    }


def gini(counts: NDArray[np.intp]) -> float:
    """How unequally items are shown: 0 where all are shown alike, towards 1 where one takes all."""
    ordered = np.sort(counts).astype(np.float64)
    n, total = ordered.size, ordered.sum()
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * total)) if total else 0.0


def of_categories(tops: Tops, categories: sp.csr_matrix, asked: sp.csr_matrix, k: int) -> dict[str, float]:
    """``diversity`` and ``miscalibration`` at k; ``categories`` are (I, G) of ones, ``asked`` the people's histories.

    Rows of ``asked`` are those of ``tops``. Lists without two items, and people without categories, are left out.
    """
    shares = _rows_to_one(categories)
    found: dict[str, list[Doubles]] = {f"diversity@{k}": [], f"miscalibration@{k}": []}
    for start in range(0, tops.shape[0], _BLOCK):
        lists, history = tops[start : start + _BLOCK, :k], asked[start : start + _BLOCK]
        found[f"diversity@{k}"].append(_diversity(lists, categories))
        own, shown = _rows_to_one(history @ shares), _rows_to_one(_counted(lists, categories.shape[0]) @ shares)
        found[f"miscalibration@{k}"].append(_divergence(own.toarray(), shown.toarray()))
    return {name: float(np.nanmean(values)) for name, each in found.items() if (values := _all(each)).size}


def _all(blocks: list[Doubles]) -> Doubles:
    joined = np.concatenate(blocks)
    return joined[np.isfinite(joined)]


def _mean_of(lists: Tops, values: Doubles) -> Doubles:
    """Each list's mean of its items' values; NaN for an empty one."""
    present = lists >= 0
    counts = present.sum(axis=1)
    sums = np.where(present, values[lists], 0.0).sum(axis=1)
    means: Doubles = np.divide(sums, counts, out=np.full(counts.size, np.nan), where=counts > 0)
    return means


def _counted(lists: Tops, items: int) -> sp.csr_matrix:
    rows, places = np.nonzero(lists >= 0)
    return sp.csr_matrix((np.ones(rows.size), (rows, lists[rows, places])), shape=(lists.shape[0], items))


def _rows_to_one(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Each row divided by its sum; an empty one stays empty."""
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    return sp.csr_matrix(sp.diags(np.divide(1.0, sums, out=np.zeros(sums.size), where=sums > 0)) @ matrix)


def _diversity(lists: Tops, categories: sp.csr_matrix) -> Doubles:
    """One minus the mean Jaccard index of all pairs of a list's items; NaN where there is no pair."""
    sets = categories.toarray()[lists]
    sets[lists < 0] = 0
    sizes = sets.sum(axis=2)
    shared = sets @ sets.transpose(0, 2, 1)
    union = sizes[:, :, None] + sizes[:, None, :] - shared
    alike = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    present = (lists >= 0).astype(np.float64)
    pairs = np.triu(present[:, :, None] * present[:, None, :], 1)
    counts = pairs.sum(axis=(1, 2))
    sums = ((1 - alike) * pairs).sum(axis=(1, 2))
    means: Doubles = np.divide(sums, counts, out=np.full(counts.size, np.nan), where=counts > 0)
    return means


def _divergence(own: Doubles, shown: Doubles) -> Doubles:
    """Kullback–Leibler from the person's distribution to the list's, smoothed; NaN where either is not known."""
    mixed = (1 - SMOOTHING) * shown + SMOOTHING * own
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(own > 0, own * np.log(own / mixed), 0.0)
    known = (own.sum(axis=1) > 0) & (shown.sum(axis=1) > 0)
    return np.where(known, terms.sum(axis=1), np.nan)
