"""``ease``: all items scored by a linear autoencoder from the user's interests; newer ones count more."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.ease import Ease
from models.structures.arrays import Floats, Ints
from serving.arrays import kernels
from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext, best_allowed, shrink
from serving.state.model_bundle import Bound


class _Interests(NamedTuple):
    """The strongest interests that the model knows: positions, the model's rows and weights, (n,) each."""

    positions: Ints
    rows: NDArray[np.int64]
    weights: Floats


def generate(context: RankingContext) -> Candidates:
    """The best items by the weighted sum of their similarities to the interests."""
    model = context.models.ease
    if model is None:
        return NO_CANDIDATES
    known = _interests(context, model)
    if not known.rows.size:
        return NO_CANDIDATES
    rows, scores = _scored(model.value, known)
    items = model.items[rows]
    chosen = best_allowed(context, items, scores, above=0.0)
    shrunk = shrink(scores[chosen], context.config.ease_support)
    return Candidates(items[chosen], shrunk, partial(_strongest, model.value, known, rows[chosen]))


def _strongest(model: Ease, known: _Interests, rows: Ints, indices: Ints) -> Ints:
    """For each candidate index, the position of the interest that adds most to its score; shape (C,)."""
    among = rows[indices]
    if model.whole is not None:
        added = known.weights[:, None] * model.whole[np.ix_(known.rows, among)]
    else:
        added = kernels.weighed_columns(*_sparse(model), known.rows, known.weights, among)
    leading: Ints = known.positions[added.argmax(axis=0)]
    return leading


def _scored(model: Ease, known: _Interests) -> tuple[Ints, Floats]:
    """Rows of the model's items that any interest scores, in any order, and their scores (C,)."""
    if model.whole is not None:
        return np.arange(len(model.item_ids), dtype=np.int32), model.score_rows(known.rows, known.weights)
    return kernels.summed_rows(*_sparse(model), known.rows, known.weights)


def _sparse(model: Ease) -> tuple[NDArray[np.int64], Ints, Floats]:
    return model.indptr, model.indices, model.values


def _interests(context: RankingContext, model: Bound[Ease]) -> _Interests:
    interests, count = context.profile.weights, min(context.config.ease_interests, len(context.profile.weights))
    positions = np.fromiter(interests, np.int32, count)
    weights = np.fromiter(interests.values(), np.float32, count)
    placed = (positions < model.rows.size).nonzero()[0]
    rows = model.rows[positions[placed]]
    known = (rows >= 0).nonzero()[0]
    chosen = placed[known]
    return _Interests(positions[chosen], rows[known].astype(np.int64), weights[chosen])


SOURCE = CandidateSource(
    name="ease",
    weight=1.0,
    sentence=Sentence("goes with what you like", "goes with {item}"),
    generate=generate,
    needs=("ease",),
    order=2,
)
