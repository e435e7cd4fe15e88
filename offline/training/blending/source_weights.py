"""Weights of the blend's sources, learned from what people went on to: a conditional logit over candidates.

McFadden, "Conditional logit analysis of qualitative choice behavior", 1974: the item that a person went on to is
drawn from the candidates with probability softmax(Σ w·f), f the curves over all sources' scores. Weights do not go
below 0, so that each source's share of a score stays a reason to show. First for everybody, then for each segment,
held near everybody's by a ridge. What is expected before anything is learned counts as further choices among the same
candidates, each drawn as those weights say: the more of them, the less the choices speak against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from models.source_weights import CURVES, Revisits, SourceWeights, Weight, curves
from models.structures.arrays import Floats
from models.structures.sparse import places

Doubles = NDArray[np.float64]

EDGES: Final = (3, 10, 40)
"""Interactions at which a person enters the next segment."""
TOTAL: Final = 2.0
"""Weights are scaled to this sum; only their ratios order a list."""
_SHARPEST: Final = 200.0
_NOTHING: Final = Weight(0.0)
_ENOUGH: Final = 1e-6
"""Of the log-likelihood, the share that a further step must gain."""


Expected = Callable[[int], Mapping[str, Weight]]
"""What sources weigh for somebody with so many interactions, as long as nothing is known of the site."""


class Choice(NamedTuple):
    """One moment: C candidates with their S sources' scores (C, S) from 0 to 1, which was chosen, by whom, and how much was known."""

    scores: Floats
    chosen: int
    interactions: int
    person: str


@dataclass(frozen=True, kw_only=True)
class WeightParameters:
    """Of learning; the ridges are in units of one choice's log-likelihood."""

    ridge: float = 0.02
    """Pulls everybody's weights to 0."""
    segment_ridge: float = 10.0
    """Pulls a segment's weights to everybody's."""
    least: int = 50
    """Choices without which nothing is learned of a segment, or of a source."""


def learn(
    choices: Sequence[Choice],
    sources: tuple[str, ...],
    expected: Expected | None = None,
    parameters: WeightParameters | None = None,
    *,
    revisits: Revisits = Revisits.NONE,
) -> SourceWeights | None:
    """The weights under which the choices are likeliest; None where there are too few choices to learn from.

    A source that seldom proposed anything is left out: of its weight nothing is known.
    """
    how = parameters or WeightParameters()
    if len(choices) < how.least:
        return None
    proposing = np.sum([each.scores.any(axis=0) for each in choices], axis=0)
    heard = np.flatnonzero(proposing >= how.least)
    if not heard.size:
        return None
    names = tuple(sources[at] for at in heard)
    known = _ChoiceModel.of([each._replace(scores=each.scores[:, heard]) for each in choices])
    if expected is not None:
        weights = np.array([[expected(each.interactions).get(name, _NOTHING) for name in names] for each in choices])
        people = len({each.person for each in choices})
        opposed = known.expecting(weights.astype(np.float32), people, how.ridge)
        if opposed is None:
            return SourceWeights.unlearned(revisits)
        known = opposed
    segments = np.array(_by_segment(known, np.array([each.interactions for each in choices]), how))
    scaled = segments * (TOTAL / np.maximum(segments.sum(axis=1, keepdims=True), np.finfo(float).tiny))
    learned = scaled.reshape(len(segments), CURVES, heard.size).transpose(0, 2, 1)
    return SourceWeights(names, np.array(EDGES), learned, revisits)


def _by_segment(known: _ChoiceModel, interactions: NDArray[np.int64], how: WeightParameters) -> list[Doubles]:
    width = known.features.shape[1]
    everybody = known.fitted(np.zeros(width), how.ridge, np.ones(width))
    of = np.searchsorted(EDGES, interactions, side="right")
    segments = []
    for number in range(len(EDGES) + 1):
        own = np.flatnonzero(of == number)
        enough = own.size >= how.least
        segments.append(known.at(own).fitted(everybody, how.segment_ridge, everybody) if enough else everybody)
    return segments


@dataclass(frozen=True)
class _ChoiceModel:
    """M choices one after the other: features (N, CURVES · S), how many candidates each has (M,), and shares (N,).

    A candidate's share of its choice is how often it is chosen; the shares of a choice sum to 1.
    """

    features: Floats
    counts: NDArray[np.int64]
    shares: Doubles

    @classmethod
    def of(cls, choices: Sequence[Choice]) -> _ChoiceModel:
        scores = np.concatenate([each.scores for each in choices]).astype(np.float32)
        counts = np.array([each.scores.shape[0] for each in choices])
        chosen = np.concatenate([np.arange(len(each.scores)) == each.chosen for each in choices])
        return cls(np.concatenate(list(curves(scores)), axis=1), counts, chosen.astype(np.float64))

    @cached_property
    def begins(self) -> NDArray[np.int64]:
        """(M,) Where each choice begins."""
        begins: NDArray[np.int64] = np.cumsum(self.counts) - self.counts
        return begins

    def at(self, numbers: NDArray[np.intp]) -> _ChoiceModel:
        """These of the choices."""
        rows = places(self.begins[numbers], self.counts[numbers])
        return _ChoiceModel(self.features[rows], self.counts[numbers], self.shares[rows])

    def expecting(self, weights: Floats, people: int, ridge: float) -> _ChoiceModel | None:
        """The same choices and further ones, drawn by what was expected (M, S, CURVES), as sharply as explains these best.

        How many: a share as James and Stein ("Estimation with quadratic loss", 1961) shrink an estimate, by how far the
        choices are likelier under weights of their own than as expected: twice the gain in log-likelihood is a χ². All
        choices of one person tell no more than one, or a few busy ones would speak for everybody. None where that share
        is the whole: the choices are no likelier than chance makes them, and what was expected holds as it is.
        """
        rows = weights.transpose(0, 2, 1).reshape(len(weights), -1).repeat(self.counts, axis=0)
        said = replace(self, features=(self.features * rows).sum(axis=1, keepdims=True))
        sharpness = said.fitted(np.zeros(1), 0.0, np.ones(1))
        width = self.features.shape[1]
        own = self.fitted(np.zeros(width), ridge, np.ones(width))
        gain = 2.0 * people * (said.loss(sharpness)[0] - self.loss(own)[0])
        if gain <= width - 2:
            return None
        share = (width - 2) / gain
        further, _ = self.drawn(said.totals(sharpness))
        return replace(self, shares=(1.0 - share) * self.shares + share * further)

    def totals(self, weights: Doubles) -> Doubles:
        """What is said of each candidate by these weights (N,)."""
        totals: Doubles = (self.features @ weights.astype(np.float32)).astype(np.float64)
        return totals

    def drawn(self, totals: Doubles) -> tuple[Doubles, Doubles]:
        """By these totals, how often each candidate is chosen (N,), and each choice's log of the sum that it is a share of (M,)."""
        tops = np.maximum.reduceat(totals, self.begins)
        found = np.exp(totals - np.repeat(tops, self.counts))
        sums = np.add.reduceat(found, self.begins)
        return found / np.repeat(sums, self.counts), np.log(sums) + tops

    def loss(self, weights: Doubles) -> tuple[float, Doubles]:
        """The mean cross-entropy, and its gradient."""
        totals = self.totals(weights)
        drawn, sums = self.drawn(totals)
        loss = sums.sum() - self.shares @ totals
        gradient = (drawn - self.shares).astype(np.float32) @ self.features
        return float(loss) / self.counts.size, gradient.astype(np.float64) / self.counts.size

    def fitted(self, centre: Doubles, ridge: float, start: Doubles) -> Doubles:
        """The minimum of the loss and the ridge around ``centre``, all weights from 0 up."""
        strength = ridge / self.counts.size

        def objective(weights: Doubles) -> tuple[float, Doubles]:
            loss, gradient = self.loss(weights)
            away = weights - centre
            return loss + strength * float(away @ away), gradient + 2 * strength * away

        bounds: Any = [(0.0, _SHARPEST)] * centre.size
        found = scipy.optimize.minimize(
            objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": _ENOUGH}
        )
        weights: Doubles = found.x
        return weights
