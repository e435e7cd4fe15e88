"""Weights of the blend's sources, learned from what people went on to: a conditional logit over candidates.

McFadden, "Conditional logit analysis of qualitative choice behavior", 1974: the item that a person went on to is
drawn from the candidates with probability softmax(Σ w·f), f the curves over all sources' scores. Weights do not go
below 0, so that each source's share of a score stays a reason to show. First for everybody, then for each segment,
held near everybody's by a ridge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from models.arrays import Floats
from models.source_weights import CURVES, Revisits, SourceWeights, curves

Doubles = NDArray[np.float64]

EDGES: Final = (3, 10, 40)
"""Interactions at which a person enters the next segment."""
TOTAL: Final = 2.0
"""Weights are scaled to this sum; only their ratios order a list."""
_SHARPEST: Final = 200.0
_ENOUGH: Final = 1e-6
"""Of the log-likelihood, the share that a further step must gain."""


class Choice(NamedTuple):
    """One moment: C candidates with their S sources' scores (C, S) from 0 to 1, which was chosen, and how much was known."""

    scores: Floats
    chosen: int
    interactions: int


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
    known = [each._replace(scores=each.scores[:, heard]) for each in choices]
    segments = np.array(_by_segment(known, CURVES * heard.size, how))
    scaled = segments * (TOTAL / np.maximum(segments.sum(axis=1, keepdims=True), np.finfo(float).tiny))
    weights = scaled.reshape(len(segments), CURVES, heard.size).transpose(0, 2, 1)
    return SourceWeights(tuple(sources[at] for at in heard), np.array(EDGES), weights, revisits)


def _by_segment(choices: Sequence[Choice], width: int, how: WeightParameters) -> list[Doubles]:
    everybody = _fitted(_Problem.of(choices), np.zeros(width), how.ridge, np.full(width, 1.0))
    segments = []
    for number in range(len(EDGES) + 1):
        own = [each for each in choices if np.searchsorted(EDGES, each.interactions, side="right") == number]
        enough = len(own) >= how.least
        segments.append(_fitted(_Problem.of(own), everybody, how.segment_ridge, everybody) if enough else everybody)
    return segments


@dataclass(frozen=True)
class _Problem:
    """Choices one after the other: features (N, CURVES · S), where each begins, and the row of each chosen one."""

    features: Floats
    begins: NDArray[np.intp]
    chosen: NDArray[np.intp]

    @classmethod
    def of(cls, choices: Sequence[Choice]) -> _Problem:
        scores = np.concatenate([each.scores for each in choices]).astype(np.float32)
        counts = np.array([each.scores.shape[0] for each in choices])
        begins = np.cumsum(counts) - counts
        chosen = begins + np.array([each.chosen for each in choices])
        return cls(np.concatenate(list(curves(scores)), axis=1), begins, chosen)

    def loss(self, weights: Doubles) -> tuple[float, Doubles]:
        """The mean negative log-likelihood, and its gradient."""
        totals = self.features @ weights.astype(np.float32)
        counts = np.diff(np.append(self.begins, totals.size))
        tops = np.maximum.reduceat(totals, self.begins)
        shares = np.exp(totals - np.repeat(tops, counts))
        sums = np.add.reduceat(shares, self.begins)
        loss = float(np.mean(np.log(sums) + tops - totals[self.chosen]))
        shares /= np.repeat(sums, counts)
        gradient = self.features.T @ shares - self.features[self.chosen].sum(axis=0)
        return loss, gradient.astype(np.float64) / self.begins.size


def _fitted(problem: _Problem, centre: Doubles, ridge: float, start: Doubles) -> Doubles:
    """The minimum of the loss and the ridge around ``centre``, all weights from 0 up."""
    strength = ridge / problem.begins.size

    def objective(weights: Doubles) -> tuple[float, Doubles]:
        loss, gradient = problem.loss(weights)
        away = weights - centre
        return loss + strength * float(away @ away), gradient + 2 * strength * away

    bounds: Any = [(0.0, _SHARPEST)] * centre.size
    found = scipy.optimize.minimize(
        objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": _ENOUGH}
    )
    weights: Doubles = found.x
    return weights
