"""Diversity: caps on items with the same value of a field, and maximal marginal relevance over item vectors.

Carbonell, Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing Summaries",
SIGIR 1998.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from models.structures.arrays import Floats, Ints
from serving.filtering.fields import Path
from serving.filtering.values import Value
from serving.ranking.context import RankingContext

FieldValue = tuple[Path, Value]
"""A field with one of its values."""

_TINY: Final = float(np.finfo(np.float32).tiny)
_POOL: Final = 200
"""Candidates that are compared; twice the requested count where that is more."""


def select_diverse(context: RankingContext, items: Ints, scores: Floats) -> Ints:
    """Indices of the candidates (C,) to show, rising, at most ``request.count``; the candidates come best first."""
    count = context.request.count
    wanted = max(_POOL, 2 * count) if context.request.diversity > 0 else count
    pool = within_caps(context, items, wanted)
    if context.request.diversity <= 0 or pool.size <= count:
        return pool[:count]
    taken = mmr(scores[pool], vectors(context, items[pool]), count, context.request.diversity)
    return pool[np.sort(taken)]


def mmr(scores: Floats, rows: Floats, count: int, diversity: float) -> Ints:
    """Indices of ``count`` candidates, chosen one by one by score less the similarity to those chosen before.

    ``scores`` (C,) are divided by the greatest. ``rows`` (C, D) have length one, or zero for an item similar to none.
    ``diversity`` is 1 - λ of the paper: 0 uses scores only; 1 uses only dissimilarity after the first.
    """
    relevance = scores / max(float(scores.max(initial=0.0)), _TINY)
    likeness = np.zeros(scores.size, np.float32)
    unchosen = np.ones(scores.size, np.bool_)
    chosen = [int(relevance.argmax())] if scores.size and count > 0 else []
    while chosen and len(chosen) < min(count, scores.size):
        unchosen[chosen[-1]] = False
        likeness = np.maximum(likeness, rows @ rows[chosen[-1]])
        marginal = (1.0 - diversity) * relevance - diversity * likeness
        chosen.append(int(np.where(unchosen, marginal, -np.inf).argmax()))
    return np.array(chosen, np.int32)


def vectors(context: RankingContext, items: Ints) -> Floats:
    """The unit vectors of these items (C, D): from the model's factors, else from their categories."""
    als = context.models.als
    factors = np.zeros((items.size, als.dimensions if als else 0), np.float32)
    if als:
        in_model = np.flatnonzero(items < context.models.als_rows.size)
        rows = context.models.als_rows[items[in_model]]
        factors[in_model[rows >= 0]] = als.item_factors[rows[rows >= 0]]
    item_labels = [
        () if row.any() else context.catalogue.labels(position)
        for position, row in zip(items.tolist(), factors, strict=True)
    ]
    codes = {code: column for column, code in enumerate(sorted({code for own in item_labels for code in own}))}
    categories = np.zeros((items.size, len(codes)), np.float32)
    for row, own in enumerate(item_labels):
        categories[row, [codes[code] for code in own]] = 1.0
    joined = np.hstack([factors, categories])
    lengths = np.sqrt(np.einsum("cd,cd->c", joined, joined))[:, None]
    directions: Floats = joined / np.maximum(lengths, _TINY)
    return directions


def within_caps(context: RankingContext, items: Ints, wanted: int) -> Ints:
    """Ascending indices of the first ``wanted`` candidates that keep every value of a field within its cap.

    ``items`` (C,) come best first. A list that would be too short is filled up with the best ones over the caps.
    """
    caps = {tuple(name.split(".")): cap for name, cap in context.config.caps.items()}
    if not caps:
        return np.arange(min(wanted, items.size), dtype=np.int32)
    within: list[int] = []
    over: list[int] = []
    counts: Counter[FieldValue] = Counter()
    for index, position in enumerate(items.tolist()):
        if len(within) == wanted:
            break
        values = [(path, value) for path in caps for value in context.catalogue.fields.values(path, position)]
        if _full(counts, values, caps):
            over.append(index)
        else:
            counts.update(values)
            within.append(index)
    return np.array(sorted(within + over[: max(0, context.request.count - len(within))]), np.int32)


def _full(counts: Counter[FieldValue], values: Sequence[FieldValue], caps: Mapping[Path, int]) -> bool:
    return any(counts[path, value] >= caps[path] for path, value in values)
