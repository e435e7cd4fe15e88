"""A light hand against sameness: at most so many items of one category."""

from __future__ import annotations

import math

import numpy as np

from models.arrays import Ints


def capped(labels: Ints, count: int, diversity: float) -> Ints:
    """Which of the candidates to take, as rising places in their order; ``labels`` (C,) are their categories.

    With ``diversity`` 0 the first ``count``; with 1 one of each category first. Items without a category
    (-1) are free. Places left over go to the best of those that the cap held back.
    """
    places = np.arange(labels.size, dtype=np.int32)
    if diversity <= 0 or labels.size <= count:
        return places[:count]
    cap = max(1, math.ceil(count * (1.0 - diversity)))
    within = (_nth_of_its_label(labels) < cap) | (labels < 0)
    taken = np.concatenate([places[within], places[~within]])[:count]
    return np.sort(taken)


def _nth_of_its_label(labels: Ints) -> Ints:
    """For each place how many before it have the same label."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    runs = np.repeat(starts, np.diff(np.r_[starts, labels.size]))
    nth = np.empty(labels.size, np.int32)
    nth[order] = np.arange(labels.size) - runs
    return nth
