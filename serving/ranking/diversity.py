"""A hand against sameness: caps on what a list holds of one kind, and maximal marginal relevance over item vectors.

Carbonell, Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing Summaries",
SIGIR 1998.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from models.structures.arrays import Floats, Ints
from serving.filtering.fields import Path, Value
from serving.ranking.context import RankingContext

Held = tuple[Path, Value]
"""A field with one of its values."""

_TINY: Final = float(np.finfo(np.float32).tiny)
_POOL: Final = 200
"""Candidates that are compared, or twice as many as are asked for where that is more."""


def chosen(context: RankingContext, items: Ints, scores: Floats) -> Ints:
    """Which of the candidates (C,), best first, to show: rising places in their order, ``request.count`` of them at most."""
    count = context.request.count
    wanted = max(_POOL, 2 * count) if context.request.diversity > 0 else count
    pool = within_caps(context, items, wanted)
    if context.request.diversity <= 0 or pool.size <= count:
        return pool[:count]
    taken = mmr(scores[pool], vectors(context, items[pool]), count, context.request.diversity)
    return pool[np.sort(taken)]


def mmr(scores: Floats, rows: Floats, count: int, diversity: float) -> Ints:
    """The candidates chosen one by one, each for its score less its likeness to what was chosen before it.

    ``scores`` (C,) count relative to the greatest; ``rows`` (C, D) have length one, or zero for what is like nothing.
    ``diversity`` is 1 - λ of the paper: 0 asks for scores alone, 1 for unlikeness alone after the first.
    """
    relevance = scores / max(float(scores.max(initial=0.0)), _TINY)
    likeness = np.zeros(scores.size, np.float32)
    left = np.ones(scores.size, np.bool_)
    taken = [int(relevance.argmax())] if scores.size and count > 0 else []
    while taken and len(taken) < min(count, scores.size):
        left[taken[-1]] = False
        likeness = np.maximum(likeness, rows @ rows[taken[-1]])
        worth = (1.0 - diversity) * relevance - diversity * likeness
        taken.append(int(np.where(left, worth, -np.inf).argmax()))
    return np.array(taken, np.int32)


def vectors(context: RankingContext, items: Ints) -> Floats:
    """Each item's direction (C, D): by the model's factors where it has them, else by its categories."""
    als = context.models.als
    factors = np.zeros((items.size, als.dimensions if als else 0), np.float32)
    if als:
        placed = np.flatnonzero(items < context.models.als_rows.size)
        rows = context.models.als_rows[items[placed]]
        factors[placed[rows >= 0]] = als.item_factors[rows[rows >= 0]]
    labels = [
        () if row.any() else context.catalogue.labels(at) for at, row in zip(items.tolist(), factors, strict=True)
    ]
    codes = {code: column for column, code in enumerate(sorted({code for each in labels for code in each}))}
    categories = np.zeros((items.size, len(codes)), np.float32)
    for row, each in enumerate(labels):
        categories[row, [codes[code] for code in each]] = 1.0
    found = np.hstack([factors, categories])
    lengths = np.sqrt(np.einsum("cd,cd->c", found, found))[:, None]
    directions: Floats = found / np.maximum(lengths, _TINY)
    return directions


def within_caps(context: RankingContext, items: Ints, wanted: int) -> Ints:
    """Rising places of the first ``wanted`` candidates that a list may hold together: ``caps`` at most of each value.

    ``items`` (C,) come best first. Where too few are left for the list, the best of those held back fill up.
    """
    caps = {tuple(name.split(".")): cap for name, cap in context.config.caps.items()}
    if not caps:
        return np.arange(min(wanted, items.size), dtype=np.int32)
    held: list[int] = []
    back: list[int] = []
    counts: Counter[Held] = Counter()
    for place, at in enumerate(items.tolist()):
        if len(held) == wanted:
            break
        values = [(path, value) for path in caps for value in context.catalogue.fields.values(path, at)]
        if _full(counts, values, caps):
            back.append(place)
        else:
            counts.update(values)
            held.append(place)
    return np.array(sorted(held + back[: max(0, context.request.count - len(held))]), np.int32)


def _full(counts: Counter[Held], values: Sequence[Held], caps: Mapping[Path, int]) -> bool:
    return any(counts[path, value] >= caps[path] for path, value in values)
