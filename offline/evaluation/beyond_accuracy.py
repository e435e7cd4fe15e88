"""Beyond-accuracy metrics of lists: coverage, novelty, diversity, popularity bias, calibration.

Formulas and sources are in ``docs/evaluation.md``. Lists are item positions (n, k), padded with -1.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from models.structures.arrays import Doubles
from offline.data.dataset import Interactions

Tops = NDArray[np.intp]

SMOOTHING: Final = 0.01
"""Steck's α: the share of the person's own distribution in the smoothed list distribution. It keeps the divergence finite."""
_BLOCK: Final = 2_000


def of_lists(tops: Tops, training: Interactions, k: int) -> dict[str, float]:
    """Returns ``coverage``, ``gini``, ``novelty`` and ``popularity`` at k."""
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
    """Returns the Gini index of exposure: 0 if all items are shown equally often, near 1 if one item has all."""
    ordered = np.sort(counts).astype(np.float64)
    n, total = ordered.size, ordered.sum()
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * total)) if total else 0.0


def of_categories(tops: Tops, categories: sp.csr_matrix, histories: sp.csr_matrix, k: int) -> dict[str, float]:
    """Returns ``diversity`` and ``miscalibration`` at k. ``categories`` is an (I, G) matrix of ones.

    Rows of ``histories`` match those of ``tops``. Lists of fewer than two items and people without categories are skipped.
    """
    shares = _rows_to_one(categories)
    blocks: dict[str, list[Doubles]] = {f"diversity@{k}": [], f"miscalibration@{k}": []}
    for start in range(0, tops.shape[0], _BLOCK):
        lists, history = tops[start : start + _BLOCK, :k], histories[start : start + _BLOCK]
        blocks[f"diversity@{k}"].append(_diversity(lists, categories))
        own, shown = _rows_to_one(history @ shares), _rows_to_one(_counted(lists, categories.shape[0]) @ shares)
        blocks[f"miscalibration@{k}"].append(_divergence(own.toarray(), shown.toarray()))
    return {name: float(np.nanmean(values)) for name, parts in blocks.items() if (values := _all(parts)).size}


def _all(blocks: list[Doubles]) -> Doubles:
    joined = np.concatenate(blocks)
    return joined[np.isfinite(joined)]


def _mean_of(lists: Tops, values: Doubles) -> Doubles:
    """Returns for each list the mean of its items' values. NaN for an empty list."""
    present = lists >= 0
    counts = present.sum(axis=1)
    sums = np.where(present, values[lists], 0.0).sum(axis=1)
    means: Doubles = np.divide(sums, counts, out=np.full(counts.size, np.nan), where=counts > 0)
    return means


def _counted(lists: Tops, items: int) -> sp.csr_matrix:
    rows, columns = np.nonzero(lists >= 0)
    return sp.csr_matrix((np.ones(rows.size), (rows, lists[rows, columns])), shape=(lists.shape[0], items))


def _rows_to_one(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Divides each row by its sum. An empty row stays empty."""
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    return sp.csr_matrix(sp.diags(np.divide(1.0, sums, out=np.zeros(sums.size), where=sums > 0)) @ matrix)


def _diversity(lists: Tops, categories: sp.csr_matrix) -> Doubles:
    """Returns for each list 1 minus the mean Jaccard index of all pairs of its items. NaN if it has no pair."""
    sets = categories.toarray()[lists]
    sets[lists < 0] = 0
    sizes = sets.sum(axis=2)
    shared = sets @ sets.transpose(0, 2, 1)
    union = sizes[:, :, None] + sizes[:, None, :] - shared
    similarities = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    present = (lists >= 0).astype(np.float64)
    pairs = np.triu(present[:, :, None] * present[:, None, :], 1)
    counts = pairs.sum(axis=(1, 2))
    sums = ((1 - similarities) * pairs).sum(axis=(1, 2))
    means: Doubles = np.divide(sums, counts, out=np.full(counts.size, np.nan), where=counts > 0)
    return means


def _divergence(own: Doubles, shown: Doubles) -> Doubles:
    """Returns the smoothed Kullback–Leibler divergence from the person's to the list's distribution. NaN if either is unknown."""
    mixed = (1 - SMOOTHING) * shown + SMOOTHING * own
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(own > 0, own * np.log(own / mixed), 0.0)
    known = (own.sum(axis=1) > 0) & (shown.sum(axis=1) > 0)
    return np.where(known, terms.sum(axis=1), np.nan)
